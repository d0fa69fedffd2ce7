"""JupyterLab in a real browser: the launcher, a new notebook, a cell."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.expected_conditions import (
    element_to_be_clickable,
    visibility_of_element_located,
)
from selenium.webdriver.support.wait import WebDriverWait

from tests.e2e.machine import Machine
from tests.golden.corpus import ROOT

_CHROMIUM, _DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
_PATIENCE = 60
_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--window-size=1400,1000",
)


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    if not (_CHROMIUM.exists() and _DRIVER.exists()):
        pytest.fail("This test needs a browser: install the packages chromium and chromium-driver.")
    options = webdriver.ChromeOptions()
    options.binary_location = str(_CHROMIUM)
    with tempfile.TemporaryDirectory() as profile:
        for argument in (*_QUIET, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        chrome = webdriver.Chrome(options, webdriver.ChromeService(str(_DRIVER)))
        try:
            yield chrome
        finally:
            chrome.quit()


def test_a_new_notebook_from_the_launcher_runs_a_cell(docker: Machine, browser: webdriver.Chrome) -> None:
    repository = ROOT / "examples/requirements"
    patience = WebDriverWait(browser, _PATIENCE)
    with docker.serving("-t", docker.build(repository), repository) as server:
        browser.get(server.url)
        python = (By.CSS_SELECTOR, '.jp-LauncherCard[data-category="Notebook"]')
        patience.until(element_to_be_clickable(python)).click()
        cell = (By.CSS_SELECTOR, ".jp-Notebook .jp-InputArea-editor .cm-content")
        patience.until(element_to_be_clickable(cell)).click()
        keys = ActionChains(browser)
        keys.send_keys("import humanize; print(humanize.naturalsize(42_000))")
        keys.key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT).perform()
        output = (By.CSS_SELECTOR, ".jp-OutputArea-output pre")
        assert patience.until(visibility_of_element_located(output)).text.strip() == "42.0 kB"
