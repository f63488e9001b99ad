// The page: what is folded is open where there is room for it, and on paper.
const wide = window.matchMedia("(min-width: 700px)");
for (const one of document.querySelectorAll("details[data-wide]")) one.open = one.open || wide.matches;

let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const one of opened) one.open = true;
  for (const image of document.images) image.loading = "eager";
});
addEventListener("afterprint", () => {
  for (const one of opened) one.open = false;
});
