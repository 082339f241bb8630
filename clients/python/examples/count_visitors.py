"""Count the events of the last day by source, with the asynchronous client.

Usage: `LUNA_TOKEN=… count_visitors.py URL`.
"""

import asyncio
import os
import sys
from collections import Counter

from luna_platform import AsyncClient

PAGE_SIZE = 100


async def main(url: str) -> None:
    counts: Counter[str] = Counter()
    async with AsyncClient(url, token=os.environ["LUNA_TOKEN"]) as luna:
        page = 1
        while True:
            found = await luna.get_events(create_time__gte="now-1d", targets=["source"], page=page, page_size=PAGE_SIZE)
            counts.update(str(event.get("source")) for event in found["events"])
            if len(found["events"]) < PAGE_SIZE:
                break
            page += 1
    for source, number in counts.most_common():
        print(f"{number:>8,} {source}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
