// Sorts a table by the column whose name is pressed: numbers by what they mean, the rest by its text; again turns it.
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") !== "descending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const order = row => row.cells[column].dataset.order;
    const compare = (one, other) => order(one) === undefined
      ? one.cells[column].textContent.localeCompare(other.cells[column].textContent)
      : order(one) - order(other);
    const rows = [...table.tBodies[0].rows].sort(compare);
    table.tBodies[0].append(...(down ? rows.reverse() : rows));
  }));
}
