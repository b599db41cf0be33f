"""Every setting of the product, read from `LIUHEN_*` variables or `.env`; `.env.example` explains each."""

from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url

from app.foundation.worktime import Calendar, read_days, read_hours


class Settings(BaseSettings):
    """What an operator may choose. Field `x` is the variable `LIUHEN_X`."""

    model_config = SettingsConfigDict(
        env_prefix="LIUHEN_", env_file=".env", env_ignore_empty=True, extra="ignore"
    )

    data: Path = Field(Path("data"), description="数据目录：数据库、索引、附件都在其中")
    keys_url: str = Field(
        "",
        description="根密钥文件，例如 file:///etc/liuhen/root.key；须在数据目录之外。"
        "默认与数据目录同级，名为「<数据目录名>.keys」的目录中",
    )
    database_url: SecretStr = Field(
        SecretStr(""),
        description="默认为数据目录中的 SQLite；或 postgresql://用户:口令@主机/库",
    )
    search_url: SecretStr = Field(
        SecretStr(""),
        description="默认为数据目录中的索引；或 OpenSearch 各节点的地址，逗号分隔，例如 "
        "https://node1:9200,https://node2:9200。须列出全部节点，才能绕开无应答的节点",
    )
    search_user: str = Field("", description="OpenSearch 用户名；空为不登录")
    search_password: SecretStr = Field(SecretStr(""), description="OpenSearch 口令")
    search_ca: Path | None = Field(
        None, description="签发 OpenSearch 证书的 CA 文件（PEM）；默认用系统信任的 CA"
    )
    search_prefix: str = Field(
        "liuhen",
        pattern=r"^[a-z][a-z0-9-]{0,39}$",
        description="OpenSearch 中索引名的前缀；几套系统共用一个集群时须各不相同",
    )
    suite: Literal["intl"] = Field("intl", description="密码算法套件")
    wordlists: Path | None = Field(
        None,
        description="词库目录：首次启动时发布其中的词库，以后的改动作为新草稿，批准后才生效；"
        "默认用随程序发布的词库",
    )
    lexicon_alert_share: float = Field(
        0.02, gt=0, le=1, description="词库回测中预警消息占比超过此值时，批准须说明理由"
    )
    log_origin: str = Field(
        "liuhen",
        pattern=r"^[A-Za-z0-9._~/-]{1,100}$",
        description="签名检查点中本系统的名称，例如 archive.example.com；首次封存后不要再改",
    )
    retention_wait_days: int = Field(14, ge=1, le=365, description="缩短保存期限获批后的等待天数")
    hold_cooling_days: int = Field(
        14, ge=1, le=365, description="解除法律保全获批后的冷静期天数，期间仍保全"
    )
    host: str = Field("127.0.0.1", description="监听地址")
    port: int = Field(8000, ge=1, le=65535, description="监听端口")
    public_url: str = Field(
        "",
        description="用户看到的地址，例如 https://liuhen.example.com；用于跨站请求检查与 Cookie 的 Secure 标记",
    )
    session_hours: int = Field(12, ge=1, le=168, description="登录会话的有效小时数")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="日志级别")
    log_format: Literal["json", "console"] = Field("json", description="日志格式")
    time_zone: str = Field("Asia/Shanghai", description="界面与统计使用的时区")
    smtp_url: SecretStr = Field(
        SecretStr(""),
        description="发预警邮件的服务器，例如 smtp://用户:口令@主机:587 或 smtps://…:465；空为不发邮件",
    )
    mail_from: str = Field("", description="预警邮件的发件人地址")
    webhook_url: str = Field("", description="预警通知推送到的地址（贵司自己的系统）")
    webhook_secret: SecretStr = Field(
        SecretStr(""), description="推送签名用的密钥；没有密钥就不推送"
    )
    robot_url: SecretStr = Field(
        SecretStr(""), description="企业微信群机器人的完整地址；群消息里不写任何人名"
    )
    wecom_api: str = Field("https://qyapi.weixin.qq.com", description="企业微信接口地址")
    wecom_corp_id: str = Field("", description="发应用消息的企业 corpid")
    wecom_agent_id: int = Field(0, ge=0, description="发应用消息的应用 agentid")
    wecom_secret: SecretStr = Field(SecretStr(""), description="该应用的 secret")
    working_hours: str = Field("09:00-18:00", description="工作时间，处置与跟进期限只计工作时间")
    holidays: str = Field(
        "",
        description="放假的日子，例如 2026-10-01/2026-10-07,2026-05-01；每年以国务院办公厅通知为准",
    )
    workdays: str = Field("", description="调休上班的周末，写法同上")
    ingest_max_bytes: int = Field(32 * 1024 * 1024, ge=1024, description="一次推送的最大字节数")
    search_timeout_seconds: float = Field(2.0, gt=0, description="一次检索的最长秒数")

    @model_validator(mode="after")
    def _keep_key_apart(self) -> Self:
        if "://" in self.keys_url.removeprefix("file://"):
            raise ValueError("LIUHEN_KEYS_URL 只支持 file:// 地址")
        if self.root_key_file.resolve().is_relative_to(self.data.resolve()):
            raise ValueError("LIUHEN_KEYS_URL 指向的根密钥文件须在数据目录之外")
        return self

    @model_validator(mode="after")
    def _search_by_http(self) -> Self:
        if any(not url.startswith(("http://", "https://")) for url in self.search_urls):
            raise ValueError("LIUHEN_SEARCH_URL 中每个地址都须以 http:// 或 https:// 开头")
        return self

    @model_validator(mode="after")
    def _read_calendar(self) -> Self:
        for name in ("working_hours", "holidays", "workdays"):
            read = read_hours if name == "working_hours" else read_days
            try:
                read(getattr(self, name))
            except ValueError as error:
                raise ValueError(f"LIUHEN_{name.upper()} 写法有误：{error}") from None
        return self

    @property
    def calendar(self) -> Calendar:
        """When people work."""
        opens, closes = read_hours(self.working_hours)
        off, on = read_days(self.holidays), read_days(self.workdays)
        return Calendar(ZoneInfo(self.time_zone), opens, closes, off, on)

    @property
    def database(self) -> str:
        """The SQLAlchemy address of the record database."""
        url = self.database_url.get_secret_value()
        if not url:
            return f"sqlite:///{self.data / 'archive.db'}"
        return (
            make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        )

    @property
    def search_urls(self) -> tuple[str, ...]:
        """The addresses of the search cluster's nodes; empty for the embedded index."""
        parts = self.search_url.get_secret_value().split(",")
        return tuple(part.strip().rstrip("/") for part in parts if part.strip())

    @property
    def is_sqlite(self) -> bool:
        """Whether the record lives in the data folder itself."""
        return self.database.startswith("sqlite")

    @property
    def root_key_file(self) -> Path:
        """Where the root key is kept: never inside the data folder."""
        if self.keys_url:
            return Path(self.keys_url.removeprefix("file://"))
        data = self.data.resolve()
        return data.parent / f"{data.name}.keys" / "root.key"
