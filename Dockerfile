# The bot image. What is in it and what a bot may rely on: docker/README.md. Build it with `manager build`, which finds a
# base, and hands over mirrors and certificates as secrets; or, where the defaults do: docker build -t NAME .
#
# Only what the BuildKit of Engine 20.10 knows, and no `syntax` line, which would ask a registry at every build.
# A secret that is not given is a missing file, which pip and apt take for an empty one.

# debian:bookworm-slim; manager/engine/image_build.py says of when.
ARG BASE=debian@sha256:abd67ffcfa541b485a3dff59865ab629aa048a6c613e639d36e7456b0b229241

FROM ${BASE} AS base
RUN --mount=type=secret,id=apt.conf --mount=type=secret,id=sources.list --mount=type=secret,id=ca.pem,mode=0444 \
    if [ ! -x /usr/bin/python3 ] || [ ! -e /etc/ssl/certs/ca-certificates.crt ] || [ ! -e /usr/share/zoneinfo/UTC ]; then \
      export APT_CONFIG=/run/secrets/apt.conf DEBIAN_FRONTEND=noninteractive \
      && { apt-get update || echo 'some package lists cannot be read' >&2; } \
      && apt-get upgrade -y \
      && apt-get install -y --no-install-recommends python3 ca-certificates tzdata \
      && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /tmp/* \
      && find /var/log -type f -delete; \
    fi

# The bot's Python packages. pip and what it needs stay in this stage.
FROM base AS packages
RUN --mount=type=secret,id=apt.conf --mount=type=secret,id=sources.list --mount=type=secret,id=ca.pem,mode=0444 \
    if ! python3 -c 'import ensurepip' 2>/dev/null; then \
      export APT_CONFIG=/run/secrets/apt.conf DEBIAN_FRONTEND=noninteractive \
      && { apt-get update || echo 'some package lists cannot be read' >&2; } \
      && apt-get install -y --no-install-recommends python3-venv; \
    fi
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/venv
ARG BOT=docker/bot
COPY ${BOT}/requirements* /requirements/
WORKDIR /requirements
# .pyc files that never look at their source again: the image is read-only, and its layers need not keep time stamps.
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem,mode=0444 \
    export PIP_CONFIG_FILE=/run/secrets/pip.conf \
    && install() { /opt/pip/bin/pip --python /opt/venv/bin/python --disable-pip-version-check --no-cache-dir \
         install --root-user-action=ignore --no-compile "$@"; } \
    && if [ -e requirements.lock ]; then install --require-hashes -r requirements.lock; \
       elif [ -e requirements.txt ]; then install -r requirements.txt; fi \
    && if [ -e requirements.prune ]; then \
         grep -v -e '^#' -e '^$' requirements.prune | while read -r path; do rm -rf /opt/venv/lib/python3*/site-packages/$path; done; fi \
    && { python3 -m compileall -q -j0 --invalidation-mode unchecked-hash /opt/venv/lib >/dev/null || true; }

# The files of this project and of the bot, as they will lie in the image.
FROM base AS files
ARG BOT=docker/bot
# The bundled bot's package goes into the venv: python -I leaves the script's folder out of its path. Empty for a bot of
# another's, which may import what lies beside its run.py.
ARG PACKAGE=gridbot
COPY ${BOT}/ /image/app/
# What draws the charts of the bundled bot's page, where `make page` got it; without it the page says so. The first name
# is a pattern because BuildKit looks for the folder before one, and that one need not be there.
COPY manager*/web/page/lib /library/
COPY docker/supervisor/ /image/opt/botfleet/supervisor/
COPY docker/healthcheck /image/opt/botfleet/healthcheck
# Readable whatever the umask of the checkout was; a bot's file that is no Python 3 is not this build's business.
RUN cd /image \
    && mkdir -p app/logs data botfleet/state botfleet/secrets run/botfleet \
    && find . -name __pycache__ -prune -exec rm -rf {} + \
    && if [ -n "${PACKAGE}" ]; then \
         site=opt/venv/lib/$(python3 -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}")')/site-packages \
         && mkdir -p "$site" && mv "app/${PACKAGE}" "$site/" \
         && if [ -d /library ] && [ -d "$site/${PACKAGE}/web/page" ]; then mv /library "$site/${PACKAGE}/web/page/lib"; fi; fi \
    && chmod -R u=rwX,go=rX . && chmod 0755 opt/botfleet/healthcheck && chmod 0700 botfleet/secrets \
    && python3 -m compileall -q --invalidation-mode unchecked-hash -s /image opt \
    && { python3 -m compileall -q -j0 --invalidation-mode unchecked-hash -s /image app >/dev/null || true; } \
    && chown 10001:10001 app/logs data botfleet/state botfleet/secrets \
    && chmod 1777 run/botfleet  # a tmpfs takes its mode from the folder it covers, whatever its options say

FROM base
COPY --from=packages /opt/venv /opt/venv
COPY --from=files /image/ /
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 \
    HOME=/tmp \
    USER=bot \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
# The bundled bot runs isolated: no variable and no file beside it changes what its interpreter loads.
ARG PYTHON="/opt/venv/bin/python -I -u"
ENV BOTFLEET_BOT_COMMAND="${PYTHON} /app/run.py"
# The program that says which orders are open, for `manager halt`; empty for a bot that has none.
ARG OPEN_ORDERS="${PYTHON} /app/open_orders.py"
# The program that cancels the orders of a live bot that was given up; empty for a bot that has none.
ARG CANCEL_ORDERS="${PYTHON} /app/cancel_orders.py"
# The program that checks a live run before its first order; empty for a bot that has none.
ARG PREFLIGHT="${PYTHON} /app/preflight.py"
ENV BOTFLEET_CANCEL_COMMAND="${CANCEL_ORDERS}"
# The program that closes the position of a bot that is down, for `manager close`; empty for a bot that has none.
ARG CLOSE_POSITION="${PYTHON} /app/close_position.py"
# The number of the contract in docker/README.md; an image without it is not started.
LABEL botfleet.supervisor=1 botfleet.open-orders="${OPEN_ORDERS}" \
    botfleet.close-position="${CLOSE_POSITION}" botfleet.preflight="${PREFLIGHT}"
USER 10001:10001
WORKDIR /app
ENTRYPOINT ["/usr/bin/python3", "-I", "-S", "/opt/botfleet/supervisor/__main__.py"]
