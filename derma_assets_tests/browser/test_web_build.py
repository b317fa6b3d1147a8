"""The page builds from pinned packages, once, and says what to do when it cannot."""

import json
import shutil
import time
from pathlib import Path

import pytest

from derma_assets.browser import web_build
from derma_assets.browser.web_build import SOURCES, build_page, run_node
from derma_assets.errors import UserError


def test_unchanged_sources_are_not_built_again(page_folder: Path) -> None:
    before = (page_folder / "index.html").stat().st_mtime_ns
    started = time.monotonic()

    assert build_page(page_folder.parent) == page_folder
    assert (page_folder / "index.html").stat().st_mtime_ns == before
    assert time.monotonic() - started < 1


def test_a_damaged_page_is_built_again(page_folder: Path, tmp_path: Path) -> None:
    build = tmp_path / "build"
    shutil.copytree(page_folder.parent, build, ignore=shutil.ignore_patterns("node_modules"))
    (build / "node_modules").symlink_to(page_folder.parent / "node_modules")
    (build / "dist" / "index.html").unlink()

    assert (build_page(build) / "index.html").read_text() == (page_folder / "index.html").read_text()


def test_types_are_clean(page_folder: Path) -> None:
    run_node(page_folder.parent, "node_modules/typescript/bin/tsc", "--noEmit")


def test_versions_are_pinned_and_name_no_registry() -> None:
    package = json.loads((SOURCES / "package.json").read_text())
    lock = (SOURCES / "package-lock.json").read_text()

    for version in {**package["dependencies"], **package["devDependencies"]}.values():
        assert version[0].isdigit(), version
    assert '"resolved"' not in lock
    assert "registry" not in lock


def test_every_variant_of_the_back_end_is_in_the_page(page_folder: Path) -> None:
    names = sorted(path.name.rsplit("-", 1)[0] for path in page_folder.rglob("*.wasm"))

    assert names == ["tfjs-backend-wasm", "tfjs-backend-wasm-simd", "tfjs-backend-wasm-threaded-simd"]


def test_without_a_network_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")

    with pytest.raises(UserError, match="registry cannot be reached"):
        build_page(tmp_path / "build")


def test_sources_that_do_not_build_are_reported(
    page_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "web"
    shutil.copytree(SOURCES, broken, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (broken / "src" / "main.tsx").write_text("import './absent';")
    build = tmp_path / "build"
    build.mkdir()
    (build / "node_modules").symlink_to(page_folder.parent / "node_modules")
    monkeypatch.setattr(web_build, "SOURCES", broken)

    with pytest.raises(UserError, match="absent"):
        build_page(build)
    assert not (build / "built.json").exists()
