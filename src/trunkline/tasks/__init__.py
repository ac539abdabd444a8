"""What each task's function makes of its arguments, declared once for every face."""
