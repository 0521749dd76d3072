"""axe-core on a page as it is now, with those rules of WCAG 2.2 AA that axe leaves to whoever asks for them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.e2e.conftest import WIDTHS
from tests.e2e.reading import settled

OFF_BY_DEFAULT = (
    "target-size",  # 2.5.8
    "label-content-name-mismatch",  # 2.5.3
    "css-orientation-lock",  # 1.3.4
    "table-fake-caption",
    "td-has-header",
)
OF_COLOURS = ("color-contrast", "link-in-text-block")
"""What another theme can break, and nothing else."""

_SCRIPT = Axe().axe_script
_RUN = """async ([rules, only]) => {
    const options = {resultTypes: ["violations"], rules: Object.fromEntries(rules.map(rule => [rule, {enabled: true}]))};
    const {violations} = await axe.run(document, only ? {...options, runOnly: only} : options);
    const over = ".menu, .toast, .hover-card, .offline-note, .upload-chip, .newer .button, .skip:focus";
    const meet = (one, other) => one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
    // What lies under a bar now can be scrolled out of there, and what was opened over it can be closed.
    const tooSmall = async ({target}) => {
        const element = document.querySelector(target[0]);
        const [x, y] = [scrollX, scrollY];
        element.scrollIntoView({block: "center", behavior: "instant"});
        const box = element.getBoundingClientRect();
        const under = [...document.querySelectorAll(over)].some(each => !each.contains(element) && meet(each.getBoundingClientRect(), box));
        const again = under || await axe.run(element, {runOnly: ["target-size"]});
        scrollTo(x, y);
        return !under && again.violations.length > 0;
    };
    const found = [];
    for (const {id, nodes} of violations) {
        let kept = nodes;
        if (id === "target-size") {
            kept = [];
            for (const node of nodes) if (await tooSmall(node)) kept.push(node);
        }
        if (kept.length) found.push([id, kept.length, kept[0].html.slice(0, 200), kept[0].failureSummary]);
    }
    return found;
}"""


def violations(page: Page, only: tuple[str, ...] = ()) -> list[str]:
    """What axe finds: where, which rule, how often, and the first element."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(_SCRIPT)
    found = page.evaluate(_RUN, [OFF_BY_DEFAULT, list(only) or None])
    return [
        f"{page.url} {rule} ({times}): {html} {json.dumps(summary)}" for rule, times, html, summary in found
    ]


def everywhere(page: Page) -> list[str]:
    """What axe finds in both themes and at both widths. Whatever is open stays open: nothing is loaded again."""
    found: list[str] = []
    for theme, width in appearances(page):
        only = (
            OF_COLOURS if (theme, width) in (("dark", WIDTHS["desktop"]), ("light", WIDTHS["phone"])) else ()
        )
        found += [f"{theme}, {width} px: {each}" for each in violations(page, only)]
    return found


def appearances(page: Page) -> Iterator[tuple[str, int]]:
    """The page in each theme at each width, one after another; at the end it is light and wide as it began."""
    for theme, width in (("light", "desktop"), ("dark", "desktop"), ("dark", "phone"), ("light", "phone")):
        page.set_viewport_size({"width": WIDTHS[width], "height": 900})
        # Without motion, or colours would be on their way from one theme to the other.
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
        settled(page)
        yield theme, WIDTHS[width]
    page.set_viewport_size({"width": WIDTHS["desktop"], "height": 900})
    page.emulate_media(reduced_motion="no-preference")
