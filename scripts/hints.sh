#!/usr/bin/env bash
# Says how to go on with a fleet that `make up` has started: in the language that the manager chooses, whose table is above.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

manager=${1:-.venv/bin/manager}
if speaks_chinese; then
  echo '機器人網頁   http://127.0.0.1:PORT，PORT 見「網頁連接埠」欄'
  echo "日誌         $manager logs -f"
  echo '停止         make down'
else
  echo 'web pages  http://127.0.0.1:PORT, with a port of the column WEB'
  echo "logs       $manager logs -f"
  echo 'stop       make down'
fi
