// Load the page again where one of its files got lost: a container that comes or goes changes the machine's network,
// and browsers then give up requests, also those to this machine.

(() => {
  const COUNT = "botfleet-loads";
  const MOST_PAUSE_MS = 10000;
  let isComing = false;
  const again = () => {
    if (document.documentElement.dataset.started !== undefined || isComing) return;
    isComing = true; // however many of its files got lost
    const count = Number(sessionStorage.getItem(COUNT) ?? 0) + 1;
    sessionStorage.setItem(COUNT, String(count));
    setTimeout(() => location.reload(), Math.min(500 * count, MOST_PAUSE_MS));
  };
  const onLost = (event) => {
    if (event.target instanceof HTMLScriptElement || event.target instanceof HTMLLinkElement) again();
  };
  window.addEventListener("error", onLost, true);
  window.addEventListener("botfleet-started", () => {
    document.documentElement.dataset.started = "";
    sessionStorage.removeItem(COUNT);
  });
})();
