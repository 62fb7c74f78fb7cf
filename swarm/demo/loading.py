"""A process that loads its share of conversations: each turn a log entry of its speaker, in a commit of its own."""

from __future__ import annotations

from functools import partial

from swarm.agent import Agent
from swarm.api import Swarm
from swarm.conversation import Turn, read_conversations

from .process import Worker
from .recount import Ack

__all__ = ["load"]


def load(worker: Worker) -> None:
    """Log the turns `first` to before `last` of all turns of the file, each in the ledger of its conversation."""
    orders = worker.orders
    turns = [turn for one in read_conversations(orders["file"]) for turn in one.turns]
    swarms: dict[str, Swarm] = {}
    agents: dict[tuple[str, str], Agent] = {}
    mine = turns[orders["first"] : orders["last"]]
    for turn in mine:
        if turn.conversation not in swarms:
            swarms[turn.conversation] = Swarm.open(orders["ledgers"][turn.conversation])
        key = turn.conversation, turn.agent
        agent = agents.get(key) or swarms[turn.conversation].agent(turn.agent)
        if agent is None:
            raise LookupError(turn.agent)
        agents[key] = agent
    worker.wait_for_start()
    for turn in mine:
        if worker.stopped:
            break
        agent = agents[turn.conversation, turn.agent]
        worker.write("log", partial(_log, agent, turn))
    for swarm in swarms.values():
        swarm.close()


def _log(agent: Agent, turn: Turn) -> Ack:
    written = agent.log(turn.log_text, ref=turn.dia_id, room=turn.room, valid_from=turn.at)
    return Ack(written.id, written.path, None, str(written.commit), ledger=turn.conversation)
