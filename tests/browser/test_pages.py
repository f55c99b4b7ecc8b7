"""The built pages in a real browser: on a desktop and a phone, light and dark, with search and keyboard."""

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest

HTML = Path(__file__).parents[2] / "docs" / "_build" / "html"
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
PAGES = (
    "index.html",
    "start.html",
    "method.html",
    "performance.html",
    "guides/formulas.html",
    "guides/unifrac.html",
    "gallery/index.html",
    "gallery/words.html",
    "project/features.html",
    "_autosummary/fastemd.pairwise.html",
)
FLAGS = ("headless=new", "no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking", "disable-sync")

pytestmark = [
    pytest.mark.skipif(
        not all(map(shutil.which, ("chromium", "chromedriver"))),
        reason="Debian's chromium and chromium-driver are not installed: apt-get install chromium chromium-driver",
    ),
    pytest.mark.skipif(not HTML.exists(), reason="the pages are not built: make docs"),
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of files that writes no log."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=HTML)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (*FLAGS, f"user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    driver = webdriver.Chrome(options, service)
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


def shown(browser, url, width="desktop", theme="light"):
    """Open a page at a width and in a theme."""
    columns, rows = WIDTHS[width]
    metrics = {"width": columns, "height": rows, "deviceScaleFactor": 1, "mobile": width == "phone"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": theme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.get(url)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_pages_are_readable_without_an_error_or_a_horizontal_scroll(browser, address, width, theme):
    browser.get_log("browser")
    for page in PAGES:
        shown(browser, f"{address}/{page}", width, theme)
        reach = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        assert reach <= 1, f"{page} is {reach} pixels wider than the screen"
        dark = browser.execute_script("return document.documentElement.dataset.theme")
        assert dark == theme, page
        errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        assert errors == [], page


# Each image with its alternative text and the words of the link or figure that it is in.
IMAGES = """
return [...document.querySelectorAll('main img')].map(image => {
    image.loading = 'eager';
    return [image.src, image.alt, image.closest('a, figure, .sphx-glr-thumbcontainer')?.innerText];
});
"""
DECODED = """
const done = arguments[0];
Promise.all([...document.images].map(image => image.decode().catch(() => 0))).then(() => done());
"""


def test_every_image_says_what_it_shows_and_is_there(browser, address):
    for page in PAGES:
        shown(browser, f"{address}/{page}")
        for source, words, near in browser.execute_script(IMAGES):
            assert words or near, f"{page}: {source} has no alternative text"
        browser.execute_async_script(DECODED)
        broken = browser.execute_script("return [...document.images].filter(i => !i.naturalWidth).map(i => i.src)")
        assert broken == [], page


def test_search_finds_a_function(browser, address):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    shown(browser, f"{address}/search.html?q=emd_with_logits")
    wait = WebDriverWait(browser, 20)
    wait.until(lambda driver: "emd_with_logits" in driver.find_element(By.ID, "search-results").text)
    links = [link.get_attribute("href") for link in browser.find_elements(By.CSS_SELECTOR, "#search-results li a")]
    assert any("emd_with_logits" in link for link in links)


def test_the_keyboard_reaches_the_content_the_menu_and_the_search(browser, address):
    from selenium.webdriver.common.keys import Keys

    shown(browser, f"{address}/index.html")
    reached = []
    for _ in range(25):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(browser.execute_script("return document.activeElement.outerHTML"))
    assert "skip" in reached[0].lower()
    assert any("start.html" in each for each in reached)
    assert any("search" in each.lower() for each in reached)
    style = "const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.boxShadow]"
    assert browser.execute_script(style) != ["none", "none"]
