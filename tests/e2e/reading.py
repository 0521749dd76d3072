"""What people who enlarge, space out, calm down or recolour a page would lose of it, found in the page as it is now."""

from __future__ import annotations

from collections.abc import Iterator

from playwright.sync_api import Page

LOST = """() => {
    const root = document.documentElement;
    const said = (what, e) => `${what}: <${e.tagName.toLowerCase()} class="${e.getAttribute("class") ?? ""}"> ${e.textContent.trim().slice(0, 60)}`;
    const found = root.scrollWidth > root.clientWidth ? [`the page is ${root.scrollWidth} px wide in ${root.clientWidth}`] : [];
    const meant = (style) => style.textOverflow === "ellipsis" || style.webkitLineClamp !== "none" || style.clipPath !== "none";
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const text = texts.currentNode;
        const parent = text.parentElement;
        if (!text.textContent.trim() || !parent.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
        const range = document.createRange();
        range.selectNodeContents(text);
        const box = range.getBoundingClientRect();
        if (box.width < 1 || parent.closest(".skip, svg, option")) continue;
        for (let e = parent; e && e !== document.body; e = e.parentElement) {
            const style = getComputedStyle(e);
            if (meant(style)) break;
            if (style.overflowX !== "visible" || style.overflowY !== "visible") {
                const around = e.getBoundingClientRect();
                const hides = (overflow) => overflow === "hidden" || overflow === "clip";
                if (hides(style.overflowX) && (box.left < around.left - 2 || box.right > around.right + 2)
                    || hides(style.overflowY) && (box.top < around.top - 2 || box.bottom > around.bottom + 2)) found.push(said("cut", parent));
                break;
            }
        }
    }
    for (const e of document.querySelectorAll("a[href], button, input, textarea, select, summary")) {
        if (!e.checkVisibility({visibilityProperty: true}) || e.closest(".vh, .skip, .hover-card")) continue;
        const {left, right, width} = e.getBoundingClientRect();
        let around = e.parentElement;
        while (around && !/auto|scroll/.test(getComputedStyle(around).overflowX)) around = around.parentElement;
        if (width > 4 && !around && (left < -1 || right > root.clientWidth + 1)) found.push(said("outside", e));
    }
    return found;
}"""
"""A page that scrolls sideways; text that its box cuts off, but where an ellipsis says so; controls beside the window."""

SPACED = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important; }
        p { margin-block-end: 2em !important; }`);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}"""
"""As WCAG 1.4.12 has it."""

MOVING = """() => {
    const still = (list) => list.split(",").every((each) => parseFloat(each) === 0);
    const found = document.getAnimations()
        .filter((each) => each.timeline instanceof DocumentTimeline).map((each) => `runs: ${each.animationName ?? each.transitionProperty}`);
    for (const e of document.querySelectorAll("*")) {
        for (const part of ["", "::before", "::after"]) {
            const style = getComputedStyle(e, part);
            const name = `<${e.tagName.toLowerCase()} class="${e.getAttribute("class") ?? ""}">${part}`;
            if (!still(style.transitionDuration)) found.push(`changes slowly: ${name}`);
            if (style.animationName !== "none" && style.animationTimeline === "auto") found.push(`is animated: ${name}`);
            if (!part && style.scrollBehavior === "smooth") found.push(`scrolls smoothly: ${name}`);
        }
    }
    return [...new Set(found)];
}"""
"""What moves by time. What scrolling itself drives, as the dots of photos, is not motion of the page's own."""

BARE = """() => {
    const edge = (style) => ["Top", "Bottom"].some((side) => style[`border${side}Width`] !== "0px" && style[`border${side}Style`] !== "none"
        && !/^rgba.*, 0\\)$/.test(style[`border${side}Color`])) || style.appearance !== "none" && style.appearance !== "button";
    const controls = [...document.querySelectorAll(".button, .chip, .pill, input:not([type=hidden], [type=file], [type=range]), textarea, select, [role=dialog], dialog, .toast, .menu, .alert")];
    return controls.filter((e) => e.checkVisibility({visibilityProperty: true}) && !e.matches(".viewer, .editor") && !e.closest(".vh") && e.offsetWidth > 4 && !edge(getComputedStyle(e)))
        .map((e) => `no edge: ${e.outerHTML.slice(0, 140)}`);
}"""
"""Controls and sheets that lose their edge with their ground, as forced colours take that away."""

SAME = """() => {
    const parts = (e) => [e, ...e.querySelectorAll("*")].flatMap((each) => [null, "::before", "::after"].map((part) => getComputedStyle(each, part)));
    const look = (e) => parts(e).map((s) => [s.color, s.backgroundColor, s.borderColor, s.borderWidth, s.borderBlockEndColor, s.outline, s.fill, s.stroke,
        s.fontWeight, s.textDecorationLine, s.content].join()).join("|");
    const same = (e, attribute, other) => {
        const before = look(e);
        const was = e.getAttribute(attribute);
        if (other === null) e.removeAttribute(attribute);
        else e.setAttribute(attribute, other);
        const after = look(e);
        e.setAttribute(attribute, was);
        return before === after;
    };
    const found = [];
    // Dots are marked by scrolling itself, and only told of it; who is followed is said by the button's words.
    for (const [attribute, other] of [["aria-pressed", "false"], ["aria-selected", "false"], ["aria-current", null]]) {
        for (const e of document.querySelectorAll(`[${attribute}]:not([${attribute}="false"])`)) {
            if (e.checkVisibility() && !e.closest(".dots, [data-follow]") && same(e, attribute, other)) found.push(`${attribute} is not seen: ${e.outerHTML.slice(0, 140)}`);
        }
    }
    return found;
}"""
"""What is pressed, selected or where one is, and looks as if it were not."""


def lost(page: Page) -> Iterator[str]:
    """At 320 px, at twice the size in a window of 1280 by 900, and with spaced text."""
    for what, width, height in (("320 px", 320, 640), ("200%", 640, 450), ("spaced", 390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        if what == "spaced":
            page.evaluate(SPACED)
        settled(page)
        yield from (f"{what}: {page.url} {each}" for each in page.evaluate(LOST))
    page.evaluate("document.adoptedStyleSheets = []")


def moving(page: Page) -> Iterator[str]:
    """What moves although less motion is wanted."""
    page.emulate_media(reduced_motion="reduce")
    yield from (f"{page.url} {each}" for each in page.evaluate(MOVING))
    page.emulate_media(reduced_motion="no-preference")


def unseen(page: Page) -> Iterator[str]:
    """What is not seen in forced colours."""
    page.emulate_media(forced_colors="active")
    yield from (f"{page.url} {each}" for each in (*page.evaluate(BARE), *page.evaluate(SAME)))
    page.emulate_media(forced_colors="none")


def settled(page: Page) -> None:
    """What follows the size of the window has followed."""
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))"
    )
