// Load the page again where one of its files got lost: a container that comes or goes changes the machine's network,
// and browsers then give up requests, also those to this machine.

(() => {
  const COUNT = "botfleet-loads";
  const MOST = 6;
  const again = () => {
    const count = Number(sessionStorage.getItem(COUNT) ?? 0) + 1;
    if (document.documentElement.dataset.started !== undefined || count > MOST) return;
    sessionStorage.setItem(COUNT, String(count));
    setTimeout(() => location.reload(), 500 * count);
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
