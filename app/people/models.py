"""Rows of people: corps, their departments, employees, clients, groups, and who belonged where since when."""

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.foundation.database import Base, BigKey, UtcDateTime


class Corp(Base):
    __tablename__ = "corps"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    code: Mapped[str] = mapped_column(String(256), unique=True)  # WeCom's corpid
    name: Mapped[str] = mapped_column(String(256))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Department(Base):
    __tablename__ = "departments"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    corp_id: Mapped[int] = mapped_column(BigKey, ForeignKey("corps.id"))
    code: Mapped[str] = mapped_column(String(256))
    name: Mapped[str] = mapped_column(String(256))
    parent_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("departments.id"), index=True)
    __table_args__ = (UniqueConstraint("corp_id", "code"),)


class Employee(Base):
    __tablename__ = "employees"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    corp_id: Mapped[int] = mapped_column(BigKey, ForeignKey("corps.id"))
    userid: Mapped[str] = mapped_column(String(256))  # lower case
    name: Mapped[str] = mapped_column(String(256))
    supervisor_id: Mapped[int | None] = mapped_column(
        BigKey, ForeignKey("employees.id"), index=True
    )
    provisional: Mapped[bool] = mapped_column(Boolean)  # seen in a message, not yet imported
    __table_args__ = (UniqueConstraint("corp_id", "userid"),)


class Membership(Base):
    """An employee belonged to a department from `start_at` up to, not including, `end_at`."""

    __tablename__ = "memberships"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    employee_id: Mapped[int] = mapped_column(BigKey, ForeignKey("employees.id"))
    department_id: Mapped[int] = mapped_column(BigKey, ForeignKey("departments.id"), index=True)
    start_at: Mapped[datetime] = mapped_column(UtcDateTime)
    end_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    __table_args__ = (UniqueConstraint("employee_id", "department_id", "start_at"),)


class Client(Base):
    __tablename__ = "clients"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    corp_id: Mapped[int] = mapped_column(BigKey, ForeignKey("corps.id"))
    external_id: Mapped[str] = mapped_column(String(256))
    name: Mapped[str] = mapped_column(String(256))
    provisional: Mapped[bool] = mapped_column(Boolean)
    __table_args__ = (UniqueConstraint("corp_id", "external_id"),)


class Group(Base):
    __tablename__ = "groups"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    corp_id: Mapped[int] = mapped_column(BigKey, ForeignKey("corps.id"))
    group_id: Mapped[str] = mapped_column(String(256))
    name: Mapped[str] = mapped_column(String(256))
    owner_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("employees.id"), index=True)
    provisional: Mapped[bool] = mapped_column(Boolean)
    __table_args__ = (UniqueConstraint("corp_id", "group_id"),)


class GroupMember(Base):
    """Who was in a group when it was last imported; exactly one of the two is set."""

    __tablename__ = "group_members"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    group_id: Mapped[int] = mapped_column(BigKey, ForeignKey("groups.id"), index=True)
    employee_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("employees.id"), index=True)
    client_id: Mapped[int | None] = mapped_column(BigKey, ForeignKey("clients.id"), index=True)


class Assignment(Base):
    """An employee looked after a client from `start_at` up to, not including, `end_at`."""

    __tablename__ = "assignments"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    client_id: Mapped[int] = mapped_column(BigKey, ForeignKey("clients.id"))
    employee_id: Mapped[int] = mapped_column(BigKey, ForeignKey("employees.id"), index=True)
    start_at: Mapped[datetime] = mapped_column(UtcDateTime)
    end_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    __table_args__ = (UniqueConstraint("client_id", "employee_id", "start_at"),)
