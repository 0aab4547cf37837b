"""Record two seconds of the simulated venue, then run the recording through the engine again.

python examples/record_and_replay.py
"""

import tempfile
from pathlib import Path

import trio

import rtre
from rtre.app import replay_config
from rtre.feeds.recording import Recording


async def main(path: str) -> None:
    config = rtre.Config(
        symbols=("AAPL", "MSFT"),
        output=rtre.OutputConfig(record=path),
        run=rtre.RunConfig(max_ticks=1200),
        feed=rtre.FeedConfig(rate=200.0),
    )
    async with rtre.open_pipeline(config) as pipeline:
        await pipeline.wait_ended()
    live = pipeline.last_report

    recording = Recording([path])
    config = replay_config(
        rtre.Config(run=rtre.RunConfig(max_ticks=1200)), recording, symbols_given=False
    )
    async with rtre.open_replay(config, recording) as replay:
        await replay.wait_ended()
    again = replay.last_report

    for was, now in zip(live, again, strict=True):
        same = was.estimates == now.estimates
        print(f"{was.name}: VaR99 {now.estimates[-1].var:,.2f}, the same as live: {same}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        trio.run(main, str(Path(folder) / "run.rec.gz"))
