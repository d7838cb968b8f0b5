"use strict";
async function refresh() {
  const status = await (await fetch("api/status")).json();
  document.title = document.getElementById("title").textContent = `${status.instance} ${status.symbol}`;
  document.getElementById("status").textContent = JSON.stringify(status, null, 2);
}
refresh();
setInterval(refresh, 2000);
