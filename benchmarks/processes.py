"""What processes of this machine cost, read from /proc: processor seconds and memory, the shared pages counted once."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """User and system seconds a process has used, its ended children left out."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mb(pid: int) -> float:
    """Proportional set size: PostgreSQL's shared buffers count once, not once a session."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def descendants(pid: int) -> dict[int, str]:
    """Process ids below `pid`, each with its command line."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                # It ended while we looked.
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found: dict[int, str] = {}
    todo = list(children.get(pid, []))
    while todo:
        child = todo.pop()
        todo += children.get(child, [])
        try:
            found[child] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
    return found


def part_of(command: str) -> str:
    """Which part of the house a command line is: a program's name, `mosquitto`, `postgres`, or empty for none."""
    words = command.split()
    if not words:
        return ""
    program = Path(words[0].rstrip(":")).name
    if program in {"mosquitto", "postgres"}:
        return program
    if "-m vigie " in command:
        name = command.partition("-m vigie ")[2].split()[0]
        return name if name in {"ingest", "watch", "rollout", "web", "simulate"} else ""
    return ""
