"""What a browser has put by for this site, and what waits in it to be sent."""

from __future__ import annotations

from playwright.sync_api import Page


def wait_until(page: Page, script: str, arg: object = None) -> None:
    """Until an async function says `true`; anything else that it says is what is lacking. Playwright's own `wait_for_function` takes
    its promise for an answer. Chromium looks every ten seconds whether a worker has nothing to do, and not before does the next
    one take its place."""
    for _ in range(300):
        said = page.evaluate(script, arg)
        if said is True:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"not within 30 s, but {said!r}: {script}")


def wait_until_kept(page: Page, path: str) -> None:
    """And the worker has taken over, and the page for offline is there."""
    wait_until(
        page,
        """async (path) => navigator.serviceWorker.controller !== null
            && await caches.match("/offline/", {ignoreVary: true}) !== undefined
            && await caches.match(path, {cacheName: "calotype-1-pages", ignoreVary: true}) !== undefined""",
        path,
    )


def everything_kept(page: Page) -> str:
    """All that the browser has put by for this site, but for files, as text."""
    text: str = page.evaluate("""async () => {
        const all = [(await indexedDB.databases()).map(each => each.name), {...localStorage}, {...sessionStorage}];
        for (const name of await caches.keys()) {
            if (name.endsWith("-files")) continue;
            const cache = await caches.open(name);
            for (const request of await cache.keys()) {
                const answer = await cache.match(request, {ignoreVary: true});
                all.push(name, request.url, await answer.text());
            }
        }
        return JSON.stringify(all);
    }""")
    return text


def pages_kept(page: Page) -> list[str]:
    paths: list[str] = page.evaluate("""async () => (await (await caches.open("calotype-1-pages")).keys())
        .map(each => new URL(each.url).pathname)""")
    return paths


def unsent(page: Page, path: str, key: str = "") -> bool:
    """What a module does that could not send something; whether somebody took it."""
    return not page.evaluate(
        """([path, key]) => document.dispatchEvent(new CustomEvent("calotype:unsent",
            {cancelable: true, detail: {path, fields: {}, key: key || crypto.randomUUID()}}))""",
        [path, key],
    )


def waiting(page: Page) -> int:
    amount: int = page.evaluate("""() => new Promise((resolve) => {
        const opening = indexedDB.open("calotype-outbox", 1);
        opening.onupgradeneeded = () => opening.result.createObjectStore("wishes", {keyPath: "about"});
        opening.onsuccess = () => {
            const all = opening.result.transaction("wishes").objectStore("wishes").getAll();
            all.onsuccess = () => { opening.result.close(); resolve(all.result.filter(each => !each.sent).length); };
        };
    })""")
    return amount


def expect_waiting(page: Page, amount: int) -> None:
    for _ in range(100):
        if waiting(page) == amount:
            return
        page.wait_for_timeout(100)
    assert waiting(page) == amount
