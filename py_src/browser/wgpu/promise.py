"""GPUPromise: the result of an asynchronous call, to be awaited or waited for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from pyodide.ffi import JsException, can_run_sync, run_sync

from .errors import from_rejection

T = TypeVar("T")

after_wait: list[Callable[[], None]] = []
"""Called after every wait, outside the event loop: the place to raise KeyboardInterrupt."""


def wait(awaitable: Awaitable[T]) -> T:
    """Suspend Python until `awaitable` is done, while JavaScript goes on, then call the hooks."""
    result = run_sync(awaitable)
    called_back()
    return result


def called_back() -> None:
    for hook in after_wait:
        hook()


class GPUPromise(Awaitable[T], Generic[T]):
    """What an `_async` call returns. It settles when it is first waited for, then stays so.

    `source` is what to await (None: nothing), and `handler` makes its value the result. Waiting
    first raises the errors that `device` met in work that was submitted earlier.
    """

    def __init__(
        self,
        title: str,
        source: Awaitable | None,
        handler: Callable[[Any], T] = lambda value: value,
        device: Any = None,
    ) -> None:
        self._title = title
        self._source = source
        self._handler = handler
        self._device = device
        self._state = "pending"
        self._value: Any = None
        if source is None:
            self._settle(None, None)

    def __repr__(self) -> str:
        return f"<GPUPromise '{self._title}' {self._state} at {hex(id(self))}>"

    def sync_wait(self) -> T:
        """Wait for the result and return it, or raise the error.

        RuntimeError where the browser cannot suspend Python: no JSPI, or JavaScript called into
        Python without `callPromising`.
        """
        if self._state == "pending":
            if not can_run_sync():
                raise RuntimeError(f"Cannot wait for {self._title!r} here; await it instead.")
            wait(self._finish())
        return self._result()

    def __await__(self):
        return self._await().__await__()

    async def _await(self) -> T:
        if self._state == "pending":
            await self._finish()
            called_back()
        return self._result()

    async def _finish(self) -> None:
        try:
            value, error = await self._source, None
        except JsException as rejection:
            value, error = None, from_rejection(rejection, self._title)
            await asyncio.sleep(0.05)  # a lost device rejects its promises before it says so
        except Exception as raised:
            value, error = None, raised
        if self._state == "pending":
            self._settle(value, error)

    def _settle(self, value: Any, error: Exception | None) -> None:
        try:
            if self._device is not None:
                self._device._raise_errors()
            if error is not None:
                raise error
            self._state, self._value = "fulfilled", self._handler(value)
        except Exception as raised:
            self._state, self._value = "rejected", raised

    def _result(self) -> T:
        if self._state == "rejected":
            raise self._value
        return self._value

    def then(
        self,
        callback: Callable[[T], Any],
        error_callback: Callable[[Exception], Any] | None = None,
        title: str | None = None,
    ) -> "GPUPromise":
        """A promise of what `callback` makes of the result; an error goes to `error_callback`.

        A callback may return a promise: the next `then` gets what comes of it.
        """
        if not callable(callback):
            raise TypeError(f"GPUPromise.then() got a callback that is not callable: {callback!r}")

        async def chain() -> Any:
            try:
                value = await self
                while isinstance(value, GPUPromise):
                    value = await value
            except Exception as error:
                if error_callback is not None:
                    error_callback(error)
                raise
            return callback(value)

        name = title or f"{self._title} -> {getattr(callback, '__name__', callback)}"
        return GPUPromise(name, asyncio.ensure_future(chain()))

    def catch(self, callback: Callable[[Exception], Any]) -> "GPUPromise":
        """A promise of what `callback` makes of the error; None if there was none."""

        async def chain() -> Any:
            try:
                await self
            except Exception as error:
                return callback(error)

        return GPUPromise(f"Catcher for {self._title}", asyncio.ensure_future(chain()))

    def __call__(self, callback: Callable[[T], Any]) -> Callable[[T], Any]:
        """`@promise` above a function is `promise.then(function)`."""
        self.then(callback)
        return callback
