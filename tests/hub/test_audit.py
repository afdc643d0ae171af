"""The audit: the sum closes over whatever devices claim."""

import random
import sqlite3

import pytest

from edge_agent.hub.store.dedupe import Epochs, save
from edge_agent.hub.store.frames import sender_of
from edge_agent.model.failure import Malformed
from edge_agent.model.frame import Holding, Loss
from edge_agent.wire.headers import format_inventory
from tests.hub.deliveries import answer, asked, batch, frame, hub, report, ticks
from tests.sim.loop import run

EPOCH = 0x77
ONE = batch(ticks(0, 10))


def inventory(following: int, *held: tuple[int, int]) -> dict[str, str]:
    return {"edge-spool": format_inventory([Holding("telemetry", EPOCH, following, held)])}


def test_a_device_that_never_sent_anything_has_no_epochs() -> None:
    async def scene() -> None:
        async with hub() as at:
            nothing = {"device": "car-3", "readings": 0, "thinned_readings": 0, "sums": {}, "epochs": []}
            assert await answer(at.auditor.audit, device="car-3") == nothing

    run(scene())


def test_a_question_without_a_device_is_refused_by_its_member() -> None:
    async def scene() -> None:
        async with hub() as at:
            for query in ({}, {"device": ""}, {"device": "car-3", "divice": "car-3"}):
                ask = asked(query)
                with pytest.raises(Malformed) as found:
                    await at.auditor.audit(ask)
                assert found.value.code == "bad_query"

    run(scene())


def test_stored_beats_thinned_beats_lost_beats_held_beats_missing() -> None:
    async def scene() -> None:
        async with hub() as at:
            loss = Loss("telemetry", EPOCH, ((0, 6),), "quota").report()
            await at.results(
                frame(EPOCH, 1, ONE), frame(EPOCH, 2, ONE), report(8, 0, [loss]), extra=inventory(12, (4, 9))
            )

            def thin(connection: sqlite3.Connection) -> None:
                epochs = Epochs(sender_of(connection, "car-3", 0))
                epochs.at(connection, EPOCH, "telemetry").thin(((2, 4),), 40)
                save(connection, epochs.changed())

            await at.store.write(thin)
            at.intake._depositor.forget()
            await at.results(frame(EPOCH, 13, ONE))
            found = await at.audit(EPOCH)
            assert found == {
                "epoch": "0000000000000077",
                "lane": "telemetry",
                "next": 14,
                "told": 12,
                "stored": 3,
                "thinned": 1,
                "lost": {"quota": 3, "unaccounted": 3},
                "held": 3,
                "missing": 1,
                "missing_ranges": [[12, 13]],
                "readings": 3 * 19,
                "thinned_readings": 40,
            }
            sums = (await answer(at.auditor.audit, device="car-3"))["sums"]
            assert list(sums) == ["reports", "telemetry"]
            shared = {name: found[name] for name in found if name not in {"epoch", "lane", "told", "missing_ranges"}}
            assert sums["telemetry"] == {**shared, "epochs": 1}

    run(scene())


def test_what_a_device_holds_moves_to_stored_as_it_comes() -> None:
    async def scene() -> None:
        async with hub() as at:
            for done in range(5):
                held = ((done + 1, 5),) if done < 4 else ()
                await at.results(frame(EPOCH, done, ONE), extra=inventory(6, *held))
                found = await at.audit(EPOCH)
                assert (found["stored"], found["held"], found["lost"]) == (done + 1, 4 - done, {"unaccounted": 1})

    run(scene())


def test_an_epoch_of_which_nothing_came_is_in_the_sum_by_its_inventory() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(frame(1, 0, ONE), extra=inventory(4, (0, 3)))
            found = await at.audit(EPOCH)
            assert (found["next"], found["stored"], found["held"], found["missing"]) == (4, 0, 3, 0)
            assert found["lost"] == {"unaccounted": 1}

    run(scene())


@pytest.mark.parametrize("seed", range(4))
def test_losses_that_were_stored_after_all_and_repeats_close_the_sum(seed: int) -> None:
    async def scene() -> None:
        chance = random.Random(seed)
        async with hub() as at:
            stored, lost = set[int](), set[int]()
            for turn in range(40):
                seq = chance.randrange(30)
                if chance.random() < 0.5:
                    await at.results(frame(EPOCH, seq, ONE), extra=inventory(30, (seq, seq + 1)))
                    stored.add(seq)
                else:
                    loss = Loss("telemetry", EPOCH, ((seq, seq + 1),), chance.choice(["quota", "age"])).report()
                    await at.results(report(9, turn, [loss]), extra=inventory(30))
                    lost.add(seq)
            found = await at.audit(EPOCH)
            assert (found["stored"], found["next"]) == (len(stored), 30)
            assert sum(found["lost"].values()) - found["lost"].get("unaccounted", 0) == len(lost - stored)

    run(scene())


def test_what_a_whole_inventory_names_no_more_is_unaccounted_not_held_for_ever() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(frame(EPOCH, 0, ONE), extra=inventory(3, (1, 3)))
            other = {"edge-spool": format_inventory([Holding("telemetry", 0x99, 1, ((0, 1),))])}
            await at.results(frame(0x99, 0, ONE), extra={"edge-spool": other["edge-spool"] + ",*"})
            (first, _) = (await answer(at.auditor.audit, device="car-3"))["epochs"]
            assert (first["held"], first["missing"]) == (2, 0), "a cut inventory lets go of nothing"
            await at.results(frame(0x99, 0, ONE))
            (first, _) = (await answer(at.auditor.audit, device="car-3"))["epochs"]
            assert (first["held"], first["missing"]) == (2, 0), "no inventory says nothing"
            await at.results(frame(0x99, 0, ONE), extra=other)
            (first, _) = (await answer(at.auditor.audit, device="car-3"))["epochs"]
            assert (first["held"], first["missing"], first["stored"]) == (0, 0, 1)
            assert first["lost"] == {"unaccounted": 2}

    run(scene())


def test_a_whole_inventory_speaks_of_every_epoch_and_a_cut_one_of_those_it_names() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(frame(1, 3, ONE), frame(2, 3, ONE), report(3, 1, [{"type": "x"}]))
            assert [(await at.audit(epoch))["missing_ranges"] for epoch in (1, 2, 3)] == [[[0, 3]], [[0, 3]], [[0, 1]]]
            one = format_inventory([Holding("telemetry", 1, 5, ((0, 1),))])
            await at.results(frame(1, 3, ONE), extra={"edge-spool": f"{one},*"})
            found = await at.audit(1)
            assert (found["told"], found["lost"], found["missing"]) == (5, {"unaccounted": 3}, 0)
            assert (await at.audit(2))["missing"] == 3
            await at.results(frame(1, 3, ONE), extra={"edge-spool": one})
            for epoch, lost in ((1, 3), (2, 3), (3, 1)):
                found = await at.audit(epoch)
                assert (found["told"], found["missing"], found["lost"]) == (found["next"], 0, {"unaccounted": lost})
            await at.results(frame(2, 1, ONE), extra={"edge-spool": one})
            assert (await at.audit(2))["lost"] == {"unaccounted": 2}, "a frame that comes late corrects it"

    run(scene())


def test_a_hub_that_forgot_what_it_took_says_so_with_the_next_inventory() -> None:
    async def scene() -> None:
        async with hub() as at:
            await at.results(frame(EPOCH, 0, ONE), extra=inventory(9, (7, 9)))
            found = await at.audit(EPOCH)
            assert (found["stored"], found["held"], found["missing"]) == (1, 2, 0)
            assert found["lost"] == {"unaccounted": 6}, "a backup from before they were stored"

    run(scene())
