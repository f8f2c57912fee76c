"""`vigie agent` and `vigie token`: who may sign in, and which programs may ask; secrets are shown once and not kept."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from hotline.floors import Floor
from hotline.roles import Role
from vigie.commands.transaction import transaction

if TYPE_CHECKING:
    from fleet.database import Connection

agent = typer.Typer(help="People who sign in to the console.", no_args_is_help=True)
token = typer.Typer(help="Tokens of programs: the REST API's, and the telephone system's.", no_args_is_help=True)


class Purpose(StrEnum):
    """What a token opens."""

    API = "api"
    CTI = "cti"


class Language(StrEnum):
    """The console's languages."""

    FR = "fr"
    EN = "en"


Login = Annotated[str, typer.Argument(help="What the person signs in with.")]
AskPassword = Annotated[bool, typer.Option("--ask", help="Ask for the password instead of making one.")]


def add_to(app: typer.Typer) -> None:
    """Add the groups to the application."""
    app.add_typer(agent, name="agent")
    app.add_typer(token, name="token")


@agent.command("add")
def add_agent(
    login: Login,
    *,
    name: Annotated[str, typer.Option(help="First and last name, as the telephone system has it.")],
    role: Annotated[Role, typer.Option(help="What the person is.")],
    extension: Annotated[str, typer.Option(help="The extension the person answers on.")] = "",
    language: Annotated[Language, typer.Option(help="The console's language.")] = Language.FR,
    floor: Annotated[Floor, typer.Option(help="own: our floor; overflow: the outsourced one, which sees no numbers.")] = Floor.OWN,
    ask: AskPassword = False,
) -> None:
    """Make an account and show its password, this once."""
    from hotline import accounts

    password = _password(ask=ask)
    with transaction("agent") as (conn, now):
        made = accounts.add_agent(
            conn,
            login=login,
            name=name,
            role=role,
            password=password,
            extension=extension,
            language=language.value,
            floor=floor,
        )
        _note(conn, now, "vigie agent add", {"login": made.login, "role": made.role, "floor": made.floor})
    typer.echo(f"{made.login} ({made.role})" + ("" if ask else f" password: {password}"))


@agent.command("list")
def list_agents() -> None:
    """Show every account."""
    from rich.console import Console
    from rich.table import Table

    from fleet.database import connect
    from fleet.settings import DatabaseSettings, read
    from hotline import accounts

    with connect(read(DatabaseSettings).database_url.get_secret_value(), program="agent") as conn:
        found = accounts.agents(conn)
    table = Table("login", "name", "role", "floor", "extension", "language", "may sign in")
    for one in found:
        table.add_row(one.login, one.name, one.role, one.floor, one.extension, one.language, "yes" if one.active else "no")
    Console().print(table)


@agent.command("password")
def change_password(login: Login, ask: AskPassword = False) -> None:
    """Give an account a new password and end its sessions."""
    from hotline import accounts

    password = _password(ask=ask)
    with transaction("agent") as (conn, now):
        accounts.set_password(conn, login=login, password=password)
        _note(conn, now, "vigie agent password", {"login": login.strip().lower()})
    typer.echo(login + (": password changed" if ask else f" password: {password}"))


@agent.command("disable")
def disable_agent(login: Login, enable: Annotated[bool, typer.Option("--undo", help="Let the person in again.")] = False) -> None:
    """Close an account and end its sessions."""
    from hotline import accounts

    with transaction("agent") as (conn, now):
        accounts.set_active(conn, login=login, active=enable)
        _note(conn, now, "vigie agent disable", {"login": login.strip().lower(), "active": "yes" if enable else "no"})
    typer.echo(f"{login}: " + ("may sign in again" if enable else "may not sign in any more"))


@token.command("add")
def add_token(
    name: Annotated[str, typer.Argument(help="Which program it is for.")],
    purpose: Annotated[Purpose, typer.Option(help="api: the REST API; cti: the call hook's address.")],
    role: Annotated[Role, typer.Option(help="What the program may do by REST.")] = Role.LEVEL1,
    floor: Annotated[Floor, typer.Option(help="overflow: it gets no whole telephone number.")] = Floor.OWN,
) -> None:
    """Make a token and show it, this once."""
    from hotline import accounts

    with transaction("token") as (conn, now):
        made = accounts.add_token(conn, name=name, purpose=purpose.value, role=role, floor=floor, now=now)
        _note(conn, now, "vigie token add", {"name": name, "purpose": purpose, "role": role, "floor": floor})
    typer.echo(f"{name} {purpose} token: {made}")


@token.command("list")
def list_tokens() -> None:
    """Show every token's name and purpose; the secrets are not kept."""
    from rich.console import Console
    from rich.table import Table

    from fleet.database import connect
    from fleet.settings import DatabaseSettings, read
    from hotline import accounts

    with connect(read(DatabaseSettings).database_url.get_secret_value(), program="token") as conn:
        found = accounts.tokens(conn)
    table = Table("name", "purpose", "role", "floor", "made (UTC)")
    for one in found:
        table.add_row(one.name, one.purpose, one.role, one.floor, f"{one.created_at:%Y-%m-%d %H:%M}")
    Console().print(table)


@token.command("remove")
def remove_token(name: Annotated[str, typer.Argument(help="Which program's.")]) -> None:
    """Take a token back: it opens nothing any more."""
    from hotline import accounts

    with transaction("token") as (conn, now):
        accounts.remove_token(conn, name=name)
        _note(conn, now, "vigie token remove", {"name": name})
    typer.echo(f"{name}: removed")


def _note(conn: "Connection", now: datetime, command: str, subject: dict[str, str]) -> None:
    """Have the audit say what was done here, in the transaction that does it."""
    from hotline.audit import CHANGED, COMMAND_LINE, Deed, record

    record(conn, [Deed(COMMAND_LINE, CHANGED, command, subject)], now=now)


def _password(*, ask: bool) -> str:
    from hotline.accounts import generate_password

    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True)) if ask else generate_password()
