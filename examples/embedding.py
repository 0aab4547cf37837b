"""rtre inside a Trio program: subscribe to reports while other tasks run.

python examples/embedding.py
"""

import trio

import rtre


async def watch(config: rtre.Config) -> None:
    """As a context manager: the pipeline lives as long as the block."""
    async with rtre.open_pipeline(config) as pipeline:
        with pipeline.subscribe() as reports:
            async for report in reports:
                book = report["portfolio"]
                for estimate in book.estimates:
                    print(f"{estimate.confidence:.0%} VaR {estimate.var:,.2f} {book.quality.label}")
                if report.sequence >= 20 and book.estimates:
                    return


async def serve(config: rtre.Config) -> None:
    """As a task of a nursery that also runs other things."""
    async with trio.open_nursery() as nursery:
        pipeline = await nursery.start(rtre.serve, config)
        await trio.sleep(1.5)
        pipeline.stop()
    print(f"served {pipeline.statistics().counts.applied} ticks")


async def main() -> None:
    config = rtre.Config(symbols=("AAPL", "MSFT"), positions={"AAPL": 100, "MSFT": -50})
    await watch(config)
    await serve(config)


if __name__ == "__main__":
    trio.run(main)
