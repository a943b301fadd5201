"""`musubi notifications`: what could not be told to subscribers (保留された通知): shown, tried again, given up."""

from typing import Annotated

import typer

from gateway.cli._frame import DONE, FINDINGS, ConfigOption, JsonOption, app, print_json, settings_of

ACTIONS = ("list", "requeue", "drop")


@app.command()
def notifications(
    action: Annotated[str, typer.Argument(help=", ".join(ACTIONS), metavar="|".join(ACTIONS))],
    numbers: Annotated[list[int] | None, typer.Argument(help="Of the list.", metavar="N...")] = None,
    everything: Annotated[bool, typer.Option("--all", help="requeue, drop: all that are parked.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Notifications nobody took (保留された通知): list, requeue, drop. The node may run or not."""
    from gateway import app as parts
    from gateway.model.audit import AuditRecord
    from gateway.services.broker import parked

    if action not in ACTIONS:
        raise typer.BadParameter(", ".join(ACTIONS), param_hint="ACTION")
    if (action == "list") == bool(numbers or everything) or (numbers and everything):
        raise typer.BadParameter("requeue and drop take numbers or --all, list takes neither", param_hint="N")
    with parts.storage(settings_of(config)) as store:
        subscriptions = store.subscriptions
        if action != "list":
            act = subscriptions.requeue if action == "requeue" else subscriptions.drop
            chosen = numbers or [one.n for one in subscriptions.parked()]
            done = sum(act(n) for n in chosen)
            store.audit.record(
                AuditRecord("110100", "notifications", "E", 0, "musubi notifications", detail=f"{action} {done}")
            )
            if as_json:
                print_json({action: done, "asked": len(chosen)})
            else:
                typer.echo(f"{action} {done} of {len(chosen)}")
            return DONE if done == len(chosen) else FINDINGS
        counts, rows = subscriptions.counts(), parked(subscriptions)
    if as_json:
        print_json({"counts": counts, "parked": rows})
    else:
        for row in rows:
            typer.echo(
                f"{row['number']}  {row['happening']:<12} {row['created']}  {row['attempts']}x  {row['address']}"
            )
        typer.echo("  ".join(f"{state} {n}" for state, n in sorted(counts.items())))
    return DONE
