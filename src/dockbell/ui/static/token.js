// Shows the token that stands in the fragment of the address, and takes it out of the browser's history.
const given = new URLSearchParams(location.hash.slice(1));
const place = document.getElementById("token");
if (place && given.get("access_token")) {
  place.textContent = given.get("access_token");
  history.replaceState(null, "", location.pathname);
}
