"""The web console in Chromium, over a fleet of two proxies with traffic.

With AGIX_TEST_SHOTS=DIR every page is photographed: light, dark and as wide as a phone.
"""

import hashlib
import hmac
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

CONSOLE = os.environ.get("AGIX_TEST_CONSOLE", "")
PROXIES = [os.environ["AGIX_TEST_PROXY"], os.environ.get("AGIX_TEST_SECOND_PROXY", "")]
SECRET = "webhook-canary-7d1f"
PROMPT = "prompt-canary-55aa"
PAGES = ["/", "/agents", "/agents/code-reviewer", "/chains", "/requests",
         "/policy", "/policy/1",
         "/policy/diff?from=1&to=2", "/policy/1/rollback", "/webhooks", "/fleet"]
PATIENCE = 20_000
# Without them Chromium looks for Google's hosts on its own account.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def browser_of(playwright):
    installed = shutil.which("chromium")
    if installed:
        return playwright.chromium.launch(executable_path=installed, args=FLAGS)
    root = Path(os.environ["AGIX_TEST_TOOLS"]) / "chromium/usr/lib"
    libraries = [str(it.parent) for it in root.glob("*-linux-gnu/**/*.so*")]
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(sorted(set(libraries)))}
    program = str(root / "chromium/chromium")
    return playwright.chromium.launch(executable_path=program, env=environment, args=FLAGS)


def post(url, body, **headers):
    data = json.dumps(body).encode() if not isinstance(body, bytes) else body
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    names["content-type"] = "application/json"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, names), timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def chat(proxy, agent, model="gpt-4o-mini"):
    message = {"role": "user", "content": PROMPT}
    body = {"model": model, "messages": [message], "max_tokens": 64}
    return post(f"{proxy}/v1/chat/completions", body, x_agent_name=agent)[0]


@pytest.fixture(scope="module")
def traffic():
    """A fleet that has answered, failed over, refused, and run a webhook."""
    down = {"model": "gpt-4o", "steps": [], "then": {"status": 503}, "reply": {}}
    script = os.environ["AGIX_TEST_MOCK"] + "/_mock/script"
    assert post(script, down)[0] == 200
    # Requests are told of from the first report on.
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for proxy in PROXIES:
            assert chat(proxy, "code-reviewer") == 200
            assert chat(proxy, "code-reviewer", "gpt-4o") == 200
        with urllib.request.urlopen(f"{CONSOLE}/requests?outcome=failover") as page:
            if b"unavailable" in page.read():
                break
    statuses = [chat(PROXIES[0], "batch") for _ in range(5)]
    assert 429 in statuses
    body = b'{"title": "Sales Report"}'
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    sent = post(f"{PROXIES[0]}/v1/webhooks/summarize-report", body,
                x_webhook_signature=f"sha256={signature}")
    assert sent[0] == 202, sent
    return sent[1]["execution_id"]


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = browser_of(playwright)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A page that fails its test if it says something on its console or asks another host."""
    yield from opened(browser)


def opened(browser, **settings):
    context = browser.new_context(**settings)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    said, foreign = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda it: None if it.url.startswith(CONSOLE + "/") else foreign.append(it.url))
    yield page
    context.close()
    assert said == []
    assert foreign == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_its_title_and_no_mistake(page, traffic, path):
    answer = page.goto(CONSOLE + path)
    assert answer.status == 200
    expect(page.locator("h1")).to_have_count(1)
    text = page.content()
    assert SECRET not in text and PROMPT not in text


def test_the_overview_shows_the_traffic(page, traffic):
    page.goto(CONSOLE)
    expect(page.get_by_role("img", name=re.compile("Requests of the last hour"))).to_be_visible()
    expect(page.locator(".chart", has_text="Failovers").locator("g")).not_to_have_count(0)
    expect(page.get_by_text("2 proxies report it")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Day: .* of \\$10.0000"))).to_be_visible()


def test_a_request_says_why_it_failed_over(page, traffic):
    page.goto(f"{CONSOLE}/requests")
    page.get_by_label("Outcome").select_option("failover")
    page.get_by_role("button", name="Show").click()
    row = page.get_by_role("row").filter(has_text="gpt-4o at openai: unavailable (503)").first
    expect(row).to_contain_text("failed over")
    expect(row).to_contain_text("claude-opus-4-6")
    page.get_by_label("Outcome").select_option("refused")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("row").filter(has_text="batch").first).to_contain_text("429")


def test_a_chain_shows_which_target_fails_and_why(page, traffic):
    page.goto(f"{CONSOLE}/chains")
    chain = page.get_by_role("region", name="Targets of gpt-4o", exact=True)
    expect(chain.get_by_role("row").nth(1)).to_contain_text("unavailable")
    expect(chain.get_by_role("row").nth(2)).to_contain_text("claude-opus-4-6")
    expect(chain.get_by_role("row").nth(2)).not_to_contain_text("not called yet")


def test_an_agent_shows_its_limits_and_its_spend_by_model(page, traffic):
    page.goto(f"{CONSOLE}/agents")
    page.get_by_role("link", name="code-reviewer").click()
    spend = page.get_by_role("region", name="Spend by Model")
    expect(spend).to_contain_text("claude-opus-4-6")


def test_a_page_is_kept_up_to_date(page, traffic):
    page.goto(f"{CONSOLE}/fleet")
    expect(page.get_by_text("2 of the ledger's sessions have a lease")).to_be_visible()
    row = page.get_by_role("row").filter(has_text="proxy-1")
    before = int(re.sub(r"\D", "", row.get_by_role("cell").nth(5).inner_text()))
    chat(PROXIES[0], "code-reviewer")
    expect(row.get_by_role("cell").nth(5)).not_to_have_text(str(before))


def test_a_policy_is_rolled_back_from_the_keyboard(page, traffic):
    page.goto(f"{CONSOLE}/policy")
    page.get_by_role("link", name="1", exact=True).click()
    link = page.get_by_role("link", name="Roll back to this revision")
    link.focus()
    page.keyboard.press("Enter")
    changed = page.get_by_role("row").filter(has_text="rate_limits.batch.requests_per_minute")
    expect(changed).to_contain_text("3")
    expect(changed).to_contain_text("5")
    page.get_by_label("Message").fill("too strict")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row").filter(has_text="too strict")).to_contain_text("content of 1")
    expect(page.get_by_text("2 of 2 connected proxies current")).to_be_visible()


def test_a_webhook_is_run_again(page, traffic):
    page.goto(f"{CONSOLE}/webhooks/{traffic}")
    expect(page.get_by_text("succeeded")).to_be_visible()
    page.get_by_role("link", name="Replay").click()
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("link", name=traffic)).to_be_visible()
    assert not page.url.endswith(traffic)


def test_the_first_tab_leads_to_the_content(page, traffic):
    page.goto(CONSOLE)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_a_phone(browser, traffic, path):
    for page in opened(browser, viewport={"width": 390, "height": 844}):
        page.goto(CONSOLE + path)
        too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(too_wide) == 0


SHOTS = os.environ.get("AGIX_TEST_SHOTS")


@pytest.mark.skipif(not SHOTS, reason="AGIX_TEST_SHOTS names no directory")
@pytest.mark.parametrize("scheme,width", [("light", 1280), ("dark", 1280), ("light", 390)])
def test_pages_are_photographed(browser, traffic, scheme, width):
    viewport = {"width": width, "height": 844}
    for page in opened(browser, viewport=viewport, color_scheme=scheme):
        for path in PAGES:
            name = re.sub(r"\W+", "-", path.strip("/")) or "overview"
            page.goto(CONSOLE + path)
            page.screenshot(path=f"{SHOTS}/{name}-{scheme}-{width}.png", full_page=True)
