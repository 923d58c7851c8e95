/* What scrolls inside its own box can be reached with the keyboard, in every browser. */
const BOXES = "pre, .formula, .table-wrapper, .cell_output, p:has(> img)";

function reach() {
  for (const box of document.querySelectorAll(BOXES)) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

addEventListener("load", reach);
addEventListener("resize", reach);
document.addEventListener("toggle", reach, true); // a solution that was opened
