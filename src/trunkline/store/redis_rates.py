"""Limits shared out by Redis or Valkey: one script a round, minutes by the server's own clock.

Counts alone are there, each with an end, so that a server that loses them loses a minute's at most.
Money never is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from trunkline.store.records import RateLease, RateWish
from trunkline.store.seam import StoreError, StoreValueError
from trunkline.store.urls import redis_place, wrong_with_redis

TIMEOUT = 0.05
"""Seconds for each step of an exchange with the server."""
_LARGEST = 2**53
"""Counts beyond are no longer exact in the script."""
_NO_LIMIT = -1
_WORDS = 5
"""Of the script's answer for each wish; the minute and what is left of it come before."""
_BOOTS = "{trunkline}:boots"
"""When each process has asked last. All keys have one hash tag: a cluster keeps them in one place."""
SCRIPT = """
local told = redis.call('TIME')
local now = tonumber(told[1]) + tonumber(told[2]) / 1000000
local minute = math.floor(now / 60)
local boot, keep = ARGV[1], tonumber(ARGV[2])
local function text(number) return string.format('%.0f', number) end

-- who was not heard of for long has no slots any more
local live = {}
local boots = redis.call('HGETALL', KEYS[1])
for at = 1, #boots, 2 do
  if now - tonumber(boots[at + 1]) < keep then live[boots[at]] = true
  else redis.call('HDEL', KEYS[1], boots[at]) end
end
redis.call('HSET', KEYS[1], boot, string.format('%.3f', now))
redis.call('EXPIRE', KEYS[1], 86400)

local function share(wanted, limit, used)
  if limit < 0 or wanted <= 0 then return wanted end
  return math.min(wanted, math.max(limit - used, 0))
end
local function left(limit, used)
  if limit < 0 then return -1 end
  return math.max(limit - used, 0)
end

local answer = {text(minute), string.format('%.6f', 60 - (now - minute * 60))}
for number = 0, (#ARGV - 2) / 6 - 1 do
  local at = 3 + number * 6
  local calls, tokens, slots = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local most_calls, most_tokens, most_slots =
    tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  local counts, held = KEYS[2 + number * 2], KEYS[3 + number * 2]

  local had = redis.call('HMGET', counts, 'minute', 'calls', 'tokens')
  local used_calls, used_tokens = 0, 0
  if had[1] and tonumber(had[1]) == minute then
    used_calls, used_tokens = tonumber(had[2]), tonumber(had[3])
  end
  calls = share(calls, most_calls, used_calls)
  tokens = share(tokens, most_tokens, used_tokens)
  used_calls, used_tokens = math.max(used_calls + calls, 0), math.max(used_tokens + tokens, 0)
  redis.call('HSET', counts, 'minute', text(minute), 'calls', text(used_calls), 'tokens', text(used_tokens))
  redis.call('EXPIRE', counts, 120)

  local elsewhere = 0
  local all = redis.call('HGETALL', held)
  for other = 1, #all, 2 do
    if all[other] ~= boot then
      if live[all[other]] then elsewhere = elsewhere + tonumber(all[other + 1])
      else redis.call('HDEL', held, all[other]) end
    end
  end
  slots = share(math.max(slots, 0), most_slots, elsewhere)
  if slots > 0 then
    redis.call('HSET', held, boot, text(slots))
    redis.call('EXPIRE', held, math.ceil(keep * 2))
  else
    redis.call('HDEL', held, boot)
  end
  for _, value in ipairs({calls, tokens, slots, left(most_calls, used_calls), left(most_tokens, used_tokens)}) do
    answer[#answer + 1] = text(value)
  end
end
return answer
"""


class RedisRates:
    """Shares limits between processes: the seam's `Rates`. Of one thread at a time."""

    def __init__(self, url: str, *, password: str | None = None, timeout: float = TIMEOUT) -> None:
        """Connect to nobody yet; raises StoreValueError for a URL that is none, and without the driver."""
        self._place = redis_place(url)
        try:
            import redis  # an extra: who does not use it need not have it
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise StoreValueError(
                "Redis needs its driver: pip install 'trunkline[redis]'."
            ) from error
        given: dict[str, Any] = {} if password is None else {"password": password}
        try:
            self._redis: _Client = redis.Redis.from_url(
                url,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                retry=Retry(NoBackoff(), 0),  # the next round is soon enough
                retry_on_error=[],
                max_connections=1,
                **given,
            )
        except (ValueError, TypeError) as error:
            raise StoreValueError(
                f"The URL of Redis cannot be read ({wrong_with_redis(url)})."
            ) from error
        self._failures: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        self._script = self._redis.register_script(SCRIPT)

    def lease_rates(
        self, boot: str, wishes: Sequence[RateWish], *, slot_seconds: float
    ) -> list[RateLease]:
        """Grant what limits allow, in one round trip, an answer to each wish in their order."""
        keys, given = [_BOOTS], [boot, str(slot_seconds)]
        for wish in wishes:
            place = f"{{trunkline}}:{wish.scope}:{wish.whose}"
            keys += [f"{place}:minute", f"{place}:slots"]
            limits = wish.limits
            given += [str(_counted(n)) for n in (wish.calls, wish.tokens, wish.slots)]
            given += [
                str(_NO_LIMIT if most is None else _counted(most))
                for most in (
                    limits.requests_per_minute,
                    limits.tokens_per_minute,
                    limits.concurrency,
                )
            ]
        try:
            told = self._script(keys=keys, args=given)
        except self._failures as error:
            raise self._trouble(error) from error
        return _read(wishes, [float(word) for word in told])

    def release_rates(self, boot: str) -> None:
        """Give back all slots of a process."""
        try:
            self._redis.hdel(_BOOTS, boot)
        except self._failures as error:
            raise self._trouble(error) from error

    def close(self) -> None:
        """Close the connection; harmless when closed."""
        self._redis.close()

    def _trouble(self, error: Exception) -> StoreError:
        # The driver's own words may repeat what was sent, so that only those of the server are told.
        said = f": {error}" if type(error).__name__.endswith("ResponseError") else ""
        return StoreError(
            f"Redis at {self._place} does not share limits out ({type(error).__name__}{said[:200]}). "
            "Look whether it runs and can be written, and at store.redis_url."
        )


class _Script(Protocol):
    """A script that the server knows by its digest."""

    def __call__(self, keys: Sequence[str], args: Sequence[str]) -> Sequence[bytes]: ...


class _Client(Protocol):
    """What is used of the driver's client."""

    def register_script(self, script: str) -> _Script: ...

    def hdel(self, name: str, *keys: str) -> Any: ...

    def close(self) -> None: ...


def _counted(number: int) -> int:
    return max(min(number, _LARGEST), -_LARGEST)


def _read(wishes: Sequence[RateWish], told: Sequence[float]) -> list[RateLease]:
    minute, minute_left = int(told[0]), told[1]
    leases: list[RateLease] = []
    for number, wish in enumerate(wishes):
        start = 2 + number * _WORDS
        calls, tokens, slots, calls_left, tokens_left = map(int, told[start : start + _WORDS])
        leases.append(
            RateLease(
                wish.scope,
                wish.whose,
                minute,
                minute_left,
                calls,
                tokens,
                slots,
                None if calls_left == _NO_LIMIT else calls_left,
                None if tokens_left == _NO_LIMIT else tokens_left,
            )
        )
    return leases
