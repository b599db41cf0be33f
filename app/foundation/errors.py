"""Every refusal the product gives: one class per rule, one shape for all of them.

    AppError
    ├── BadInput            400  the request cannot be read
    ├── NotSignedIn         401
    ├── Forbidden           403
    ├── NotFound            404
    ├── Conflict            409
    ├── TooLarge            413
    ├── TooManyRequests     429
    └── Unavailable         503  a part is missing for the moment; says when to retry

A room derives its own errors beside its service and sets `code`, `title` and, where it differs, `status`.
Rendered as RFC 9457 problem+json with a stable `code` by `app.foundation.http`.
"""

from typing import Any, ClassVar


class AppError(Exception):
    """Something the caller can understand and act on.

    `title` is what a person reads (Chinese), `detail` what to do about this case, `facts` extra members
    of the problem document. None of them may carry message content.
    """

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "系统内部错误"
    status: ClassVar[int] = 500

    def __init__(self, detail: str | None = None, **facts: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.facts = facts


class BadInput(AppError):
    """The request, file or argument cannot be understood."""

    code = "bad_input"
    title = "输入无法识别"
    status = 400


class NotSignedIn(AppError):
    """No valid session or token came with the request."""

    code = "not_signed_in"
    title = "请先登录"
    status = 401


class Forbidden(AppError):
    """The caller is known and may not do this."""

    code = "forbidden"
    title = "没有权限"
    status = 403


class NotFound(AppError):
    """There is no such thing, or the caller may not know of it."""

    code = "not_found"
    title = "未找到"
    status = 404


class Conflict(AppError):
    """The thing is in another state than the request supposes."""

    code = "conflict"
    title = "状态冲突"
    status = 409


class TooLarge(AppError):
    """More than one request may carry."""

    code = "too_large"
    title = "请求过大"
    status = 413


class TooManyRequests(AppError):
    """Slow down; `retry_after` says for how many seconds."""

    code = "too_many_requests"
    title = "请求过于频繁"
    status = 429


class Unavailable(AppError):
    """A part is missing for the moment; nothing was accepted. `retry_after` is in seconds."""

    code = "unavailable"
    title = "服务暂不可用"
    status = 503

    def __init__(self, detail: str | None = None, *, retry_after: int = 5, **facts: Any) -> None:
        super().__init__(detail, retry_after=retry_after, **facts)
