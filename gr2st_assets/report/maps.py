"""Fifth chapter: the best, the median and the worst gene where they were measured.

Belongs here: choosing section and genes, asking for their spots. Does not belong here: drawing (``spot_maps``).

The section is the one whose score is the median, never the best; genes are ranked over all sections.
"""

import base64
import io
from typing import TYPE_CHECKING, Any

from gr2st_assets.report.answers import Answer, Asking
from gr2st_assets.report.blocks import Block, Chapter
from gr2st_assets.report.spot_maps import DOT, Spots, gene_maps, scale_bar
from gr2st_assets.report.subject import Subject
from gr2st_assets.report.svg import drawing, element, nice
from gr2st_assets.report.verdict import PLACE

if TYPE_CHECKING:
    from markupsafe import Markup

_MOST_SPOTS = 6000
_MOST_PIXELS = 640
_OWN = f"{PLACE} AND split_unit = $unit AND method = $method AND profile = $profile"

_SECTION = f"""
WITH ranked AS (
  SELECT fold_id, section_id, patient_id, n_spots, pearson_zero_filled AS r, count(*) OVER () AS n,
    row_number() OVER (ORDER BY pearson_zero_filled, section_id) AS place
  FROM section_scores WHERE {_OWN} AND pearson_zero_filled IS NOT NULL
)
SELECT section_id AS section, patient_id AS patient, fold_id AS fold, n_spots AS spots, round(r, 3) AS r, n AS sections
FROM ranked WHERE place = (n + 1) // 2
"""  # noqa: S608 - constants of this module

_GENES = f"""
WITH scored AS (
  SELECT gene, avg(pearson) AS r, max(pearson) FILTER (section_id = $section) AS r_here
  FROM gene_scores WHERE {_OWN} GROUP BY gene
), ranked AS (
  SELECT *, row_number() OVER (ORDER BY r DESC, gene) AS place, count(*) OVER () AS n
  FROM scored WHERE r_here IS NOT NULL
)
SELECT CASE place WHEN 1 THEN 'best' WHEN n THEN 'worst' ELSE 'median' END AS which, gene,
  round(r_here, 3) AS r_here, round(r, 3) AS r_over_sections
FROM ranked WHERE place IN (1, (n + 1) // 2, n) ORDER BY place
"""  # noqa: S608

_SPOTS = f"""
SELECT spot_id, pixel_x, pixel_y, observed, predicted
FROM {{view}} JOIN observed USING (fold_id, panel, target, cohort, section_id, spot_id, gene)
JOIN spots USING (cohort, section_id, spot_id)
WHERE fold_id = $fold AND {PLACE} AND section_id = $section AND gene = $gene
ORDER BY md5(spot_id), spot_id LIMIT {_MOST_SPOTS}
"""  # noqa: S608

_SLIDE = """
SELECT um_per_px, pitch_um, width_px, height_px, thumbnail_um_per_px, thumbnail_png FROM slides
WHERE cohort = $cohort AND section_id = $section
"""


def chapter(about: Subject, asking: Asking, view: str) -> Chapter:
    """Maps of three genes on the section of median score, and its image.

    Parameters
    ----------
    view
        Name of the view of the method's predictions, quoted.
    """
    title = "Maps"
    section = asking(_SECTION)
    if not section.rows:
        return Chapter(title, [Block("maps", "No section", "No section has a defined score.", section)])
    here = section.row
    asking = asking.about(section=here["section"], fold=here["fold"])
    genes, slide = asking(_GENES), asking(_SLIDE)
    note = (
        f"Section {here['section']} of patient {here['patient']}, predicted by a model that never saw it (fold "
        f"{here['fold']}). It has the median score of {here['sections']} sections. Spots are at their true places, "
        f"drawn {DOT:g} of their pitch wide; nothing is smoothed. Observed and predicted share a scale, the 2nd to "
        "98th percentile of the observed; target units."
    )
    chosen = Block(
        "mapped", "Section and genes", note, genes, _image(slide, here["section"]), [section, slide], italic="gene"
    )
    maps = [_maps(about, asking, view, slide.row, gene) for gene in genes.rows]
    return Chapter(title, [chosen, *(block for block in maps if block)])


def _maps(about: Subject, asking: Asking, view: str, slide: dict[str, Any], gene: dict[str, Any]) -> Block | None:
    answer = asking(_SPOTS.replace("{view}", view), gene=gene["gene"])
    table = answer.table
    if table.num_rows == 0 or not slide["um_per_px"]:
        return None
    columns = {name: table[name].to_numpy().astype("float64") for name in table.column_names[1:]}
    spots = Spots(columns["pixel_x"] * slide["um_per_px"], columns["pixel_y"] * slide["um_per_px"], slide["pitch_um"])
    r = f"r = {gene['r_here']:.3f}".replace("-", "\N{MINUS SIGN}")
    words = f"{gene['gene']}, {gene['which']} gene of {about.name}, section {asking.values['section']}"
    drawn = gene_maps(spots, columns["observed"], columns["predicted"], f"{words}: {r}, n = {table.num_rows} spots")
    cut = f" The section has more spots; {_MOST_SPOTS} are drawn." if table.num_rows == _MOST_SPOTS else ""
    note = f"{gene['which']} gene: {r} on this section, n = {table.num_rows} spots.{cut}"
    return Block(f"map_{gene['which']}", gene["gene"], note, drawings=[drawn], asked=[answer], italic="title")


def _image(slide: Answer, section: str) -> "list[Markup]":
    """Small picture of the slide as JPEG, the only raster of the page; none for a section without an image."""
    from PIL import Image

    row = slide.row
    if not row["thumbnail_png"]:
        return []
    picture = Image.open(io.BytesIO(row["thumbnail_png"])).convert("RGB")
    um = picture.width * row["thumbnail_um_per_px"]
    picture.thumbnail((_MOST_PIXELS, _MOST_PIXELS))
    packed = io.BytesIO()
    picture.save(packed, format="jpeg", quality=80)
    data = "data:image/jpeg;base64," + base64.b64encode(packed.getvalue()).decode()
    width, height = picture.size
    image = element("image", href=data, width=width, height=height)
    bar = scale_bar(nice(um / 6), width / um, 4, height + 18)
    return [drawing(width, height + 30, f"H&E image of section {section}", image, *bar, kind="slide")]
