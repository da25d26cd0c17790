"""A fetched cohort lies as its reader expects it; what is there is left alone, what is wrong costs only itself."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from gr2st_assets.checksums import digest_of
from gr2st_assets.fetch import fetch
from gr2st_assets.inbox import wrong_checksums
from gr2st_assets.journeys import fetch_cohort
from gr2st_assets.listings import files_of
from gr2st_core.cohorts.legacy import LegacyReader
from gr2st_core.cohorts.published import Archive, Keep, MendeleyFiles, PublishedCohort, published_cohorts
from gr2st_core.cohorts.registry import find_reader
from gr2st_core.errors import DataError, MissingArtifactError, SchemaError, SettingsError

FACTS = {"title": "toy", "cite": "nobody", "licence": "none", "layout": "her2st", "verified": True}
COUNTS = gzip.compress(b"\tERBB2\n1x1\t3\n2x1\t4\n", mtime=0)
SPOTS = b"x\ty\tnew_x\tnew_y\tpixel_x\tpixel_y\tselected\n1\t1\t1\t1\t100\t100\t1\n2\t1\t2\t1\t200\t100\t1\n"
LEGACY_SPOTS = b"x\ty\tpixel_x\tpixel_y\n1\t1\t100\t100\n2\t1\t200\t100\n"

Run = Callable[[list[dict[str, Any]]], list[DataError]]


def sha(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def tar_of(members: Mapping[str, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cohort"


@pytest.fixture
def run(folder: Path) -> Run:
    """Fetch a cohort of the given sources; gives its faults."""

    def fetched(sources: list[dict[str, Any]]) -> list[DataError]:
        cohort = PublishedCohort.model_validate({**FACTS, "sources": sources})
        return fetch(cohort, folder, lambda _: None, pauses_s=())

    return fetched


@pytest.fixture
def known_files(site: Any) -> list[dict[str, Any]]:
    """Two files, the checksum of one of which is known."""
    site.put("/data/ST-cnts/B4.tsv.gz", COUNTS)
    site.put("/data/ST-spotfiles/B4_selection.tsv", SPOTS)
    checksums = {"data/ST-cnts/B4.tsv.gz": sha(COUNTS), "data/ST-spotfiles/B4_selection.tsv": "unknown"}
    return [{"kind": "files", "base": f"{site.address}/", "files": checksums}]


def placed(folder: Path) -> list[str]:
    """Files of the cohort without those of the fetch itself."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in paths if not path.parts[0].startswith(".") and path.name != "SHA256SUMS")


def moved(name: str, site: Any, **changes: Any) -> PublishedCohort:
    """A cohort of the packaged catalogue whose first address is the site's ``/source``."""
    cohort = published_cohorts()[name]
    source = cohort.sources[0].model_copy(update={"url": f"{site.address}/source", **changes})
    return cohort.model_copy(update={"sources": (source,)})


def test_the_command_fetches_what_add_reads_and_says_what_comes_next(
    site: Any, folder: Path, known_files: list[dict[str, Any]], tmp_path: Path
) -> None:
    catalogue = tmp_path / "mine.yml"
    facts = {**FACTS, "verified": False, "unverified": "all of it"}
    catalogue.write_text(yaml.safe_dump({"toy": {**facts, "sources": known_files}}))
    said: list[str] = []
    assert fetch_cohort("toy", folder, catalogue, said.append) == 0
    assert "not verified when this catalogue was written: all of it" in said
    assert said[-1] == f"next: gr2st cohort add toy {folder}"
    reader = find_reader(folder)
    entries, faults = reader.entries("toy", folder)
    assert (reader.layout, [str(entry.key) for entry in entries], faults) == ("her2st", ["toy/B4"], [])
    assert wrong_checksums(folder) == []
    assert (folder / "SHA256SUMS").read_text() == (
        f"{digest_of(folder / 'data/ST-cnts/B4.tsv.gz', 'sha256')}  data/ST-cnts/B4.tsv.gz\n"
        f"{digest_of(folder / 'data/ST-spotfiles/B4_selection.tsv', 'sha256')}  data/ST-spotfiles/B4_selection.tsv\n"
    )


def test_the_home_folder_is_where_a_cohort_goes_by_itself(
    known_files: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GR2ST_HOME", str(tmp_path))
    catalogue = tmp_path / "mine.yml"
    catalogue.write_text(yaml.safe_dump({"toy": {**FACTS, "sources": known_files}}))
    assert fetch_cohort("toy", None, catalogue, lambda _: None) == 0
    assert (tmp_path / "cohorts" / "toy" / "data").is_dir()


def test_what_is_here_is_not_asked_for_again(site: Any, run: Run, known_files: list[dict[str, Any]]) -> None:
    assert run(known_files) == []
    site.asked.clear()
    assert run(known_files) == []
    assert site.asked == []


def test_a_wrong_file_costs_only_itself(site: Any, run: Run, folder: Path, known_files: list[dict[str, Any]]) -> None:
    site.put("/data/ST-cnts/B4.tsv.gz", b"<html>sorry</html>")
    (fault,) = run(known_files)
    assert fault.context["found"] == sha(b"<html>sorry</html>").removeprefix("sha256:")
    assert fault.context["expected"] == sha(COUNTS).removeprefix("sha256:")
    assert placed(folder) == ["data/ST-spotfiles/B4_selection.tsv"]
    assert wrong_checksums(folder) == []


def test_a_server_out_of_reach_is_given_up_after_two_files(site: Any, folder: Path) -> None:
    names = ["a", "b", "c", "d", "e"]
    for name in names:
        site.put(f"/{name}", b"x")
    site.statuses.update({"/a": [503], "/c": [503], "/d": [503]})
    source = {"kind": "files", "base": f"{site.address}/", "files": dict.fromkeys(names, sha(b"x"))}
    said: list[str] = []
    cohort = PublishedCohort.model_validate({**FACTS, "sources": [source]})
    faults = fetch(cohort, folder, said.append, pauses_s=())
    assert [str(fault.context["file"])[-2:] for fault in faults] == ["/a", "/c", "/d"]
    assert placed(folder) == ["b"]
    assert said[-1] == "the server is out of reach: 1 more files are not tried"


@pytest.mark.parametrize("path", ["data/ST-cnts/B4.tsv.gz", "data/ST-spotfiles/B4_selection.tsv"])
def test_a_file_that_changed_here_is_told_and_not_replaced(
    run: Run, folder: Path, known_files: list[dict[str, Any]], path: str
) -> None:
    run(known_files)
    (folder / path).write_bytes(b"mine")
    (fault,) = run(known_files)
    assert (fault.context["file"], fault.context["field"]) == (folder / path, "sha256")
    assert "move it away" in str(fault.context["hint"])
    assert (folder / path).read_bytes() == b"mine"


def test_a_file_without_published_checksum_is_compared_with_what_came_first(
    site: Any, run: Run, folder: Path, known_files: list[dict[str, Any]]
) -> None:
    run(known_files)
    (folder / "data/ST-spotfiles/B4_selection.tsv").unlink()
    site.put("/data/ST-spotfiles/B4_selection.tsv", SPOTS + b"3\t1\t3\t1\t300\t100\t1\n")
    (fault,) = run(known_files)
    assert fault.context["expected"] == sha(SPOTS).removeprefix("sha256:")
    assert placed(folder) == ["data/ST-cnts/B4.tsv.gz"]


def test_files_that_were_not_fetched_are_not_replaced(
    run: Run, folder: Path, known_files: list[dict[str, Any]]
) -> None:
    spots = folder / "data" / "ST-spotfiles" / "B4_selection.tsv"
    spots.parent.mkdir(parents=True)
    spots.write_bytes(b"mine")
    (fault,) = run(known_files)
    assert fault.context["file"] == spots
    assert spots.read_bytes() == b"mine"


def test_a_link_in_the_folder_leads_no_file_out_of_it(
    run: Run, folder: Path, known_files: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    folder.mkdir()
    (folder / "data").symlink_to(tmp_path / "outside")
    assert [fault.message for fault in run(known_files)] == ["a file lies outside its cohort folder"] * 2
    assert list((tmp_path / "outside").iterdir()) == []


def test_two_fetches_into_one_folder_do_not_mix(run: Run, folder: Path, known_files: list[dict[str, Any]]) -> None:
    (folder / ".fetch").mkdir(parents=True)
    with FileLock(folder / ".fetch" / "lock"), pytest.raises(SchemaError, match="already"):
        run(known_files)


def test_github_lists_files_and_blob_ids(site: Any, folder: Path, tmp_path: Path) -> None:
    image = b"\xff\xd8 of the section"
    (tmp_path / "image").write_bytes(image)
    path = "data/ST-imgs/A/A1/one image.jpg"
    blob = {"path": path, "type": "blob", "sha": digest_of(tmp_path / "image", "git")}
    others = [{"path": "data", "type": "tree", "sha": "0" * 40}, {**blob, "path": "data/ST-imgs/A/A1/notes.txt"}]
    site.put("/source", json.dumps({"tree": [*others, blob], "truncated": False}).encode())
    site.put(f"/raw/{path.replace(' ', '%20')}", image)
    source = published_cohorts()["her2st"].sources[1]
    keep = tuple(rule for rule in source.keep if "ST-imgs" in rule.match)  # type: ignore[union-attr]
    changed = source.model_copy(update={"url": f"{site.address}/source", "base": f"{site.address}/raw/", "keep": keep})
    cohort = published_cohorts()["her2st"].model_copy(update={"sources": (changed,)})
    assert fetch(cohort, folder, lambda _: None, pauses_s=()) == []
    assert placed(folder) == [path]
    assert (folder / path).read_bytes() == image


def test_the_archive_of_cscc_becomes_sections_that_the_legacy_reader_reads(site: Any, folder: Path) -> None:
    members = {
        "GSM4284316_P2_ST_rep1_stdata.tsv.gz": COUNTS,
        "GSM4284316_spot_data-selection-P2_ST_rep1.tsv.gz": gzip.compress(LEGACY_SPOTS),
        "GSM4284316_P2_ST_rep1.jpg.gz": gzip.compress(b"\xff\xd8 of P2"),
        "GSM4565823_P4_rep1_matrix.mtx.gz": gzip.compress(b"Visium"),
    }
    site.put("/source", tar_of(members))
    cohort = moved("cscc", site)
    assert fetch(cohort, folder, lambda _: None, pauses_s=()) == []
    ((entry,), faults) = LegacyReader().entries("cscc", folder)
    assert (str(entry.key), entry.patient_id, faults) == ("cscc/P2_ST_rep1", "P2", [])
    assert entry.image_path == folder / "GSM4284316_P2_ST_rep1.jpg"
    assert entry.image_path.read_bytes() == b"\xff\xd8 of P2"
    counts = LegacyReader().read(entry).counts
    assert counts is not None
    assert counts.matrix.toarray().tolist() == [[3], [4]]
    assert wrong_checksums(folder) == []
    site.asked.clear()
    assert fetch(cohort, folder, lambda _: None, pauses_s=()) == []
    assert site.asked == []
    entry.image_path.unlink()
    assert fetch(cohort, folder, lambda _: None, pauses_s=()) == []
    assert entry.image_path.exists()


def test_the_list_of_he_et_al_becomes_sections_with_labels(site: Any, folder: Path) -> None:
    files = {
        "BC23287_C1_stdata.tsv.gz": gzip.compress(b"\tENSG00000141736\n1x1\t3\n2x1\t4\n"),
        "spots_BT23287_C1.csv.gz": gzip.compress(b",X,Y\n1x1,100,100\n2x1,200,100\n"),
        "HE_BT23287_C1.jpg": b"\xff\xd8 of BC23287",
        "BC23287_C1_Coords.tsv.gz": gzip.compress(
            b"xcoord\tycoord\tlab\ttumor\rC1_1_1\t1.02\t1\tL1\ttumor\rC1_2_1\t2\t1\tL2\tnon\r"
        ),
        "metadata.csv": b"type,patient\n",
    }
    listed = [
        {
            "filename": name,
            "content_details": {
                "download_url": site.put(f"/files/{number}/file_downloaded", content),
                "sha256_hash": hashlib.sha256(content).hexdigest(),
            },
        }
        for number, (name, content) in enumerate(files.items())
    ]
    site.put("/source", json.dumps({"version": 5, "files": listed}).encode())
    assert fetch(moved("he2020", site), folder, lambda _: None, pauses_s=()) == []
    assert placed(folder) == [
        "BC23287_C1_Coords.tsv.gz", "BC23287_C1_stdata.tsv.gz", "HE_BC23287_C1.jpg", "spots_BC23287_C1.csv.gz",
    ]  # fmt: skip
    ((entry,), faults) = LegacyReader().entries("he2020", folder)
    assert (entry.patient_id, faults, entry.image_path) == ("BC23287", [], folder / "HE_BC23287_C1.jpg")
    section = LegacyReader().read(entry)
    assert section.regions is not None
    assert section.regions.tolist() == ["tumor", "non"]


def test_the_archives_of_wu_et_al_lie_as_published(site: Any, folder: Path) -> None:
    names = [
        "filtered_count_matrices/CID4465_filtered_count_matrix/matrix.mtx.gz",
        "spatial/CID4465_spatial/tissue_hires_image.png",
        "metadata/CID4465_metadata.csv",
    ]
    cohort = published_cohorts()["wu2021"]
    sources = []
    for source, name in zip(cohort.sources, names, strict=True):
        assert isinstance(source, Archive)
        hidden = f"{name.rpartition('/')[0]}/._hidden"
        content = tar_of({f"./{name}": name.encode(), hidden: b""}, "w:gz")
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        url = site.put(source.url.rpartition("/files")[2], content)
        sources.append(source.model_copy(update={"url": url, "checksum": f"md5:{md5}"}))
    assert fetch(cohort.model_copy(update={"sources": tuple(sources)}), folder, lambda _: None, pauses_s=()) == []
    assert placed(folder) == sorted(names)


def test_a_hostile_archive_leaves_nothing_and_does_not_stand_in_the_way(site: Any, run: Run, folder: Path) -> None:
    sources = [{"kind": "tar", "url": f"{site.address}/a.tar", "keep": [{"match": ".*"}]}]
    site.put("/a.tar", tar_of({"good.tsv": b"x", "../../evil.tsv": b"x"}))
    (fault,) = run(sources)
    assert fault.context["found"] == "'../../evil.tsv'"
    assert placed(folder) == []
    site.put("/a.tar", tar_of({"good.tsv": b"x"}))
    assert run(sources) == []
    assert placed(folder) == ["good.tsv"]


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"<html>", "not JSON"),
        (b"[1]", "another form"),
        (b'{"version": 4, "files": []}', "another form"),
        (b'{"version": 5, "files": [{"filename": "a"}]}', "another form"),
        (b'{"version": 5, "files": []}', "not there"),
    ],
)
def test_a_list_of_another_form_is_told(site: Any, folder: Path, content: bytes, field: str) -> None:
    site.put("/source", content)
    (fault,) = fetch(moved("he2020", site), folder, lambda _: None, pauses_s=())
    assert field in fault.message
    assert fault.context["file"] == f"{site.address}/source"


def test_a_listed_name_leads_nowhere_else(site: Any, folder: Path, run: Run) -> None:
    blob = {"path": "../../evil", "type": "blob", "sha": "0" * 40}
    site.put("/source", json.dumps({"tree": [blob], "truncated": False}).encode())
    (fault,) = run(
        [{"kind": "github", "url": f"{site.address}/source", "base": site.address, "keep": [{"match": ".*"}]}]
    )
    assert fault.context["found"] == "'../../evil'"


def test_the_packaged_catalogue_asks_official_places_over_https() -> None:
    cohorts = published_cohorts()
    assert sorted(cohorts) == ["cscc", "he2020", "her2st", "wu2021"]
    addresses = [
        getattr(source, "url", "") or getattr(source, "base", "") for c in cohorts.values() for source in c.sources
    ]
    assert {address.split("/")[2] for address in addresses if address.startswith("https://")} == {
        "api.github.com", "raw.githubusercontent.com", "ftp.ncbi.nlm.nih.gov", "data.mendeley.com", "zenodo.org",
    }  # fmt: skip
    assert all(address.startswith("https://") for address in addresses)
    assert all(cohort.verified or cohort.unverified for cohort in cohorts.values())


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"toy": {**FACTS, "sources": []}}, "toy.sources"),
        ({"toy": {**FACTS, "sources": [{"kind": "zip", "url": "x"}]}}, "toy.sources.0"),
        (
            {"toy": {**FACTS, "sources": [{"kind": "files", "base": "x", "files": {"a": "sha256:0"}}]}},
            "toy.sources.0.files.files.a",
        ),
        (
            {"toy": {**FACTS, "sources": [{"kind": "tar", "url": "x", "keep": [{"match": "("}]}]}},
            "toy.sources.0.tar.keep.0.match",
        ),
        ({"toy": {**FACTS, "extra": 1, "sources": [{"kind": "files", "base": "x", "files": {}}]}}, "toy.extra"),
    ],
)
def test_a_catalogue_with_a_fault_names_file_and_field(tmp_path: Path, content: object, field: str) -> None:
    file = tmp_path / "mine.yml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(SettingsError) as caught:
        published_cohorts(file)
    assert (caught.value.context["file"], caught.value.context["field"]) == (file, field)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(MissingArtifactError) as caught:
        fetch_cohort("unheard-of", None, None, lambda _: None)
    assert caught.value.context["expected"] == ["cscc", "he2020", "her2st", "wu2021"]


@pytest.mark.parametrize(
    ("listing", "url", "is_allowed"),
    [
        ("https://data.example/list", "https://cdn.example/a", True),
        ("https://data.example/list", "http://127.0.0.1/a", False),
        ("https://data.example/list", "file:///etc/passwd", False),
        ("http://127.0.0.1/list", "http://127.0.0.1/a", True),
    ],
)
def test_a_publishers_list_sends_nobody_to_this_machine(
    tmp_path: Path, listing: str, url: str, is_allowed: bool
) -> None:
    path = tmp_path / "list.json"
    details = {"download_url": url, "sha256_hash": "0" * 64}
    path.write_text(json.dumps({"version": 1, "files": [{"filename": "a", "content_details": details}]}))
    source = MendeleyFiles(kind="mendeley", url=listing, version=1, keep=(Keep(match="a"),))
    if is_allowed:
        assert [file.url for file in files_of(source, lambda _: path)] == [url]
        return
    with pytest.raises(SchemaError) as caught:
        files_of(source, lambda _: path)
    assert (caught.value.context["file"], caught.value.context["found"]) == (listing, url)
