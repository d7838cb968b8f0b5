"""A kit over HTTP: what ccxt's own `fetch` and signing send is carried out by the simulated venue.

The kit answers what a run asks of its orders; here are, besides, the calls that a bot makes before and around
it: the list of markets, the exchange's time, the account, and what the signing needs.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from tests.bot.kits.kit import Kit, Refusal
from tests.bot.kits.lighter import ACCOUNT, CANCEL, CREATE
from tests.fake_exchange.book import RefusalError
from tests.fake_exchange.server import FakeExchange

WORDS = {"true": True, "false": False, "True": True, "False": False}


class ServedKit(FakeExchange):
    """`with ServedKit(kit, address) as served:` answers as FakeExchange does, with its faults and its tap.

    `prefix`: what stands before an endpoint's own path. `templates`: paths that name an order or a market, as
    ccxt's table of endpoints has them. `keys`: the account's, under the names that the bot reads, and `named`
    under which the config names them. `free`: what the account may still use. `least_value`: what an order
    has to be worth. `read_only`: the key's reads are answered, its orders and cancellations refused.
    """

    prefix = ""
    templates: ClassVar[tuple[str, ...]] = ()
    keys: ClassVar[dict[str, str]] = {}
    named: ClassVar[dict[str, str]] = {}

    def __init__(self, kit: Kit, address: str) -> None:
        super().__init__(kit.book, address=address)
        self.kit = kit
        kit.book.clock = time.time
        self.free, self.least_value = Decimal(10000), Decimal(10)

    @property
    def env(self) -> dict[str, str]:
        """The variables that make the bot trade here; its socket stays closed."""
        return {f"{self.kit.name.upper()}_API_URL": self.url, **self.keys}

    def outcome(self, method: str, path: str, params: dict[str, Any], headers: Any) -> tuple[int, Any]:
        endpoint, named = self._endpoint(path)
        asked = {
            name: WORDS.get(value, value) if isinstance(value, str) else value
            for name, value in params.items()
        }
        with self.kit.book.lock:
            self.kit.now = time.time()
            try:
                answer = self._carry_out(endpoint, method, asked | named, headers)
            except RefusalError as err:
                refusal = self.kit.refusal(err)
                return refusal.status, refusal.body
            except Refusal as refusal:
                return refusal.status, refusal.body
        return (204, "") if answer == "" else (200, answer)

    def _carry_out(self, endpoint: str, method: str, params: dict[str, Any], headers: Any) -> Any:
        if (known := self.around(endpoint, method, params, headers)) is not None:
            return known
        if self.kit.is_write(endpoint, method):
            if self.read_only:
                raise self.kit.refusals["unauthorized"]
            if not self.kit.is_cancel(endpoint, params, method):
                if self.refusal is not None:
                    raise self.refusal
                self.require_value(params)
        return self.kit.answer(endpoint, method, params)

    def around(self, endpoint: str, method: str, params: dict[str, Any], headers: Any) -> Any:
        """Return what is none of the kit's, else None; `params` may be put into the kit's words.

        Raises Refusal for keys that are not the account's.
        """
        raise NotImplementedError

    def require_value(self, params: Mapping[str, Any]) -> None:
        """Raise Refusal for a new order that is worth too little."""
        if Decimal(params["price"]) * Decimal(params["size"]) < self.least_value and not params.get("flags"):
            raise self.kit.refusals["below_minimum"]

    def _endpoint(self, path: str) -> tuple[str, dict[str, Any]]:
        """Return an endpoint's path as ccxt's table has it, and what a request's path says in it."""
        own = path.removeprefix(self.prefix)
        for template in self.templates:
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
            if match := re.fullmatch(pattern, own):
                return template, match.groupdict()
        return own, {}


class ServedParadex(ServedKit):
    """Shapes: openapi.json 1.132.1 of github.com/tradeparadex/paradex-docs at commit 9b82a75, 2026-08-20.

    The account's address is the one that ccxt makes of the key; another one's signature opens no session.
    """

    prefix = "/v1/"
    templates = ("orders/by_client_id/{client_id}", "orders/{order_id}", "orderbook/{market}")
    config: ClassVar[dict[str, str]] = {
        "starknet_chain_id": "PRIVATE_SN_PARACLEAR_MAINNET",
        "l1_chain_id": "1",
        "paraclear_account_hash": "0x41cb0280ebadaa75f996d8d92c6f265f6d040bb3ba442e5f86a554f1765244e",
        "paraclear_account_proxy_hash": "0x3530cc4759d78042f1b543bf797f5f3d647cde0388c33734cf91b7f7b9314a9",
    }
    keys: ClassVar[dict[str, str]] = {
        "PARADEX_WALLET_ADDRESS": "0x" + "2" * 40,
        "PARADEX_PRIVATE_KEY": "0x" + "1" * 64,
    }
    named: ClassVar[dict[str, str]] = {
        "account_address": "PARADEX_WALLET_ADDRESS",
        "private_key": "PARADEX_PRIVATE_KEY",
    }

    def __init__(self, kit: Kit, address: str) -> None:
        super().__init__(kit, address)
        self.sessions: dict[str, float] = {}
        kit.api.options["systemConfig"] = self.config
        self.account = kit.api.retrieve_account()["address"]

    def around(self, endpoint: str, method: str, params: dict[str, Any], headers: Any) -> Any:
        match endpoint:
            case "system/config":
                return self.config
            case "system/time":
                return {"server_time": str(int(time.time() * 1000))}
            case "system/state":
                return {"status": "ok"}
            case "markets":
                return {"results": [self._market()]}
            case "markets/summary":
                return None
            case "auth":
                return self._sign_in(headers)
        if not endpoint.startswith("orderbook/"):
            self._require_session(headers)
        match endpoint:
            case "account":
                return {
                    "account": self.account,
                    "account_value": str(self.free),
                    "free_collateral": str(self.free),
                    "settlement_asset": "USDC",
                    "status": "ACTIVE",
                }
            case "account/margin":
                margin = {"market": "SOL-USD-PERP", "leverage": 20, "margin_type": "CROSS"}
                return {"account": self.account, "configs": [margin]}
            case "balance":
                balance = {"token": "USDC", "size": str(self.free), "last_updated_at": 1718529757240}
                return {"results": [balance]}
        if endpoint == "orders" and method == "POST" and not params.get("signature"):
            raise self.kit.refusals["unauthorized"]
        return None

    def _sign_in(self, headers: Any) -> dict[str, str]:
        """Open a session for what the account's own key has signed; the signature is the same each time."""
        api = self.kit.api
        signed = {
            "method": "POST",
            "path": "/v1/auth",
            "body": "",
            "timestamp": int(headers["PARADEX-TIMESTAMP"]),
            "expiration": int(headers["PARADEX-SIGNATURE-EXPIRATION"]),
        }
        kinds = {"Request": [{"name": name, "type": "felt"} for name in signed]}
        account = api.retrieve_account()
        message = api.starknet_encode_structured_data(
            api.prepare_paradex_domain(), kinds, signed, account["address"]
        )
        own = api.starknet_sign(message, account["privateKey"])
        if (headers["PARADEX-STARKNET-ACCOUNT"], headers["PARADEX-STARKNET-SIGNATURE"]) != (
            self.account,
            own,
        ):
            raise Refusal(
                401, {"error": "STARKNET_SIGNATURE_VERIFICATION_FAILED", "message": "bad signature"}
            )
        token = f"session-{len(self.sessions)}"
        self.sessions[token] = time.time() + 300
        return {"jwt_token": token}

    def _require_session(self, headers: Any) -> None:
        token = str(headers.get("Authorization")).removeprefix("Bearer ")
        if self.sessions.get(token, 0) < time.time():
            raise self.kit.refusals["unauthorized"]

    def _market(self) -> dict[str, Any]:
        return {
            "symbol": "SOL-USD-PERP",
            "base_currency": "SOL",
            "quote_currency": "USD",
            "settlement_currency": "USDC",
            "order_size_increment": str(self.book.lot),
            "price_tick_size": str(self.book.tick),
            "min_notional": str(self.least_value),
            "open_at": 1696431006398,
            "expiry_at": 0,
            "asset_kind": "PERP",
            "market_kind": "cross",
            "position_limit": "10000",
            "max_open_orders": 100,
            "max_order_size": "1000",
            "delta1_cross_margin_params": {
                "imf_base": "0.02",
                "imf_shift": "0",
                "imf_factor": "0",
                "mmf_factor": "0.5",
            },
            "fee_config": {
                "api_fee": {"maker_fee": {"fee": "0.0002"}, "taker_fee": {"fee": "0.0005"}},
            },
        }


class ServedLighter(ServedKit):
    """Shapes: openapi.json of github.com/elliottech/lighter-python at commit 051d1ba, a stored copy.

    Transactions are what Lighter's own library makes of them; its signatures are not checked here, only whose
    they claim to be, and that no number of a transaction comes twice.
    """

    prefix = "/api/v1/"
    # The library's path is that of docs/exchanges.md.
    keys: ClassVar[dict[str, str]] = {
        "LIGHTER_PRIVATE_KEY": "0x" + "1" * 80,
        "LIGHTER_ACCOUNT_INDEX": str(ACCOUNT),
        "LIGHTER_API_KEY_INDEX": "2",
        "LIGHTER_SIGNER_LIBRARY": "/opt/lighter-signer.so",
    }
    named: ClassVar[dict[str, str]] = {
        "private_key": "LIGHTER_PRIVATE_KEY",
        "account_index": "LIGHTER_ACCOUNT_INDEX",
        "api_key_index": "LIGHTER_API_KEY_INDEX",
        "signer_library": "LIGHTER_SIGNER_LIBRARY",
    }

    def __init__(self, kit: Kit, address: str) -> None:
        super().__init__(kit, address)
        self.nonces: set[int] = set()

    def around(self, endpoint: str, method: str, params: dict[str, Any], headers: Any) -> Any:
        match endpoint:
            case "/":
                return {"status": 200, "network_id": 1, "timestamp": int(time.time())}
            case "assetDetails":
                asset = {"asset_id": 3, "symbol": "USDC", "decimals": 6, "min_transfer_amount": "1"}
                return {"code": 200, "asset_details": [asset]}
            case "orderBookDetails":
                return {"code": 200, "order_book_details": [self._market()]}
            case "account":
                [account] = self.kit.answer(endpoint, method, params)["accounts"]
                for position in account["positions"]:
                    position["initial_margin_fraction"] = "5.00"
                funds = {"collateral": str(self.free), "available_balance": str(self.free), "assets": []}
                return {"code": 200, "total": 1, "accounts": [account | funds | {"status": 1}]}
            case "sendTx":
                self._read_transaction(params)
            case "orderBookOrders":
                pass
            case _:
                _deadline, account, key, *_ = str(headers.get("Authorization")).split(":")
                if (account, key) != (str(ACCOUNT), "2"):
                    raise self.kit.refusals["unauthorized"]
        return None

    def _read_transaction(self, params: dict[str, Any]) -> None:
        """Put what was signed into the kit's words. Raises RefusalError for a number that was used."""
        signed = json.loads(params["tx_info"])
        if signed["Nonce"] in self.nonces:
            raise RefusalError("NONCE", "invalid nonce")
        if (signed["AccountIndex"], signed["ApiKeyIndex"]) != (ACCOUNT, 2) or not signed["Sig"]:
            raise self.kit.refusals["unauthorized"]
        self.nonces.add(signed["Nonce"])
        kind = params["tx_type"] = int(params["tx_type"])
        words = {"api_key_index": signed["ApiKeyIndex"]}
        if kind == CREATE:
            words |= {
                "client_order_index": signed["ClientOrderIndex"],
                "base_amount": signed["BaseAmount"],
                "avg_execution_price": signed["Price"],
                "is_ask": signed["IsAsk"],
                "order_type": signed["Type"],
                "time_in_force": signed["TimeInForce"],
                "reduce_only": signed["ReduceOnly"],
            }
        elif kind == CANCEL:
            words |= {"order_index": signed["Index"]}
        else:
            words |= {"time_in_force": signed["TimeInForce"]}
        params["tx_info"] = json.dumps(words)

    def require_value(self, params: Mapping[str, Any]) -> None:
        asked = json.loads(params["tx_info"])
        digits = self._market()
        value = Decimal(asked["avg_execution_price"] * asked["base_amount"])
        value = value.scaleb(-digits["price_decimals"] - digits["size_decimals"])
        if value < self.least_value and not asked["reduce_only"]:
            raise self.kit.refusals["below_minimum"]

    def _market(self) -> dict[str, Any]:
        return {
            "symbol": "SOL",
            "market_id": 2,
            "market_type": "perp",
            "status": "active",
            "taker_fee": "0.0002",
            "maker_fee": "0.0000",
            "min_base_amount": str(self.book.lot),
            "min_quote_amount": str(self.least_value),
            "order_quote_limit": "281474976.710655",
            "size_decimals": -int(self.book.lot.as_tuple().exponent),
            "price_decimals": -int(self.book.tick.as_tuple().exponent),
            "quote_multiplier": 1,
            "default_initial_margin_fraction": 500,
            "min_initial_margin_fraction": 200,
            "maintenance_margin_fraction": 120,
            "last_trade_price": float(self.book.price),
        }


class ServedApex(ServedKit):
    """Shapes: unverified, known from ccxt 4.5.90's parser and recorded answers only, as the kit's.

    The signature of each private request is checked; that of an order, apex's own library's, has to be there.
    """

    prefix = "/api/"
    keys: ClassVar[dict[str, str]] = {
        "APEX_KEY": "0123456789abcdef",
        "APEX_SECRET": "fedcba9876543210",
        "APEX_PASSPHRASE": "passphrase",
        "APEX_SEEDS": "0x" + "1f" * 32,
        "APEX_ACCOUNT_ID": "7",
    }
    named: ClassVar[dict[str, str]] = {
        "api_key": "APEX_KEY",
        "secret_key": "APEX_SECRET",
        "passphrase": "APEX_PASSPHRASE",
        "seeds": "APEX_SEEDS",
        "account_id": "APEX_ACCOUNT_ID",
    }
    public = ("v3/time", "v3/symbols", "v3/ticker", "v3/depth")

    def around(self, endpoint: str, method: str, params: dict[str, Any], headers: Any) -> Any:
        if endpoint not in self.public:
            self._check_key(endpoint, method, headers)
        match endpoint:
            case "v3/time":
                return {"data": {"time": int(time.time() * 1000)}}
            case "v3/symbols":
                return {"data": {"contractConfig": {"perpetualContract": [self._market()]}}}
            case "v3/account-balance":
                balance = {"totalEquityValue": str(self.free), "availableBalance": str(self.free)}
                return {"data": balance}
        if endpoint == "v3/order" and method == "POST" and not params.get("signature"):
            raise self.kit.refusals["unauthorized"]
        return None

    def _check_key(self, endpoint: str, method: str, headers: Any) -> None:
        given = [headers.get(f"APEX-{name}") for name in ("API-KEY", "PASSPHRASE")]
        if given != [self.keys["APEX_KEY"], self.keys["APEX_PASSPHRASE"]] or not headers.get(
            "APEX-SIGNATURE"
        ):
            raise self.kit.refusals["unauthorized"]

    def _market(self) -> dict[str, Any]:
        return {
            "symbol": "SOL-USDT",
            "crossSymbolName": "SOLUSDT",
            "symbolDisplayName": "SOLUSDT",
            "baseTokenId": "SOL",
            "settleAssetId": "USDT",
            "l2PairId": "58",
            "enableTrade": True,
            "enableOpenPosition": True,
            "minOrderSize": str(self.book.lot),
            "maxOrderSize": "1000",
            "maxPositionSize": "10000",
            "stepSize": str(self.book.lot),
            "tickSize": str(self.book.tick),
            "displayMinLeverage": "1",
            "displayMaxLeverage": "50",
            "initialMarginRate": "0.02",
            "maintenanceMarginRate": "0.01",
        }
