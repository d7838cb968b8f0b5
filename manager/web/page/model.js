// Hold the fleet as it was last told, and choose what is shown of it.

export class Model {
  constructor() {
    this.fleet = null;
    this.instances = new Map();
    this.curves = null;
    this.longCurves = null;
    this.filter = { kind: "all", words: "", tag: "", exchange: "", state: "", sort: "worst" };
    this.selected = new Set();
    this.isConnected = false;
    this.lostAt = null;
  }

  /** Begin with everything. */
  load(fleet, answer) {
    this.fleet = fleet;
    this.instances = new Map(answer.instances.map((each) => [each.id, each]));
  }

  /** Take in what a look has changed. */
  apply(look) {
    this.fleet = look.fleet;
    for (const [id, changes] of Object.entries(look.changed)) {
      this.instances.set(id, { ...this.instances.get(id), ...changes });
    }
    for (const id of look.removed) this.instances.delete(id);
  }

  /** Return all instances, worst first. */
  worstFirst() {
    return [...this.instances.values()].sort(byUrgency);
  }

  /** Return those that a person should look at. */
  needing() {
    return this.worstFirst().filter((each) => each.needs_person);
  }

  /** Return every tag, with the chosen one although no bot may have it any more: else it could not be left. */
  tags() {
    const chosen = this.filter.tag ? [this.filter.tag] : [];
    return [...new Set([...this.instances.values()].flatMap((each) => each.tags).concat(chosen))].sort();
  }

  /** Return every exchange. */
  exchanges() {
    return [...new Set([...this.instances.values()].map((each) => each.exchange).filter(Boolean))].sort();
  }

  /** Return every state with its word for the reader, by that word. */
  states() {
    const found = new Map([...this.instances.values()].map((each) => [stateCode(each), stateOf(each)]));
    return [...found].sort(([, one], [, other]) => one.localeCompare(other));
  }

  /** Return what is selected and shown: an action never concerns what is hidden. */
  chosen() {
    return this.shown().map((each) => each.id).filter((id) => this.selected.has(id));
  }

  /** Return what the filter lets through, in the chosen order. */
  shown() {
    const words = this.filter.words.toLowerCase().split(/\s+/).filter(Boolean);
    const { kind, tag, exchange, state } = this.filter;
    const found = this.worstFirst().filter(
      (each) =>
        isOfKind(each, kind) &&
        (!tag || each.tags.includes(tag)) &&
        (!exchange || each.exchange === exchange) &&
        (!state || stateCode(each) === state),
    );
    const matching = found.filter((each) => words.every((word) => facts(each).includes(word)));
    const order = ORDERS[this.filter.sort];
    return order ? matching.sort(order) : matching;
  }

  /** Return how many seconds old the look is; null before the first. */
  ageOfLook(now) {
    return this.fleet?.looked_at ? now - this.fleet.looked_at : null;
  }
}

const ORDERS = {
  id: (one, other) => one.id.localeCompare(other.id),
  today: (one, other) => lowest(todayOf(one)?.pnl, todayOf(other)?.pnl),
  pnl: (one, other) => lowest(one.pnl, other.pnl),
};

function lowest(one, other) {
  return Number(one ?? Infinity) - Number(other ?? Infinity) || 0;
}

function byUrgency(one, other) {
  if (one.needs_person !== other.needs_person) return one.needs_person ? -1 : 1;
  for (let index = 0; index < one.urgency.length; index += 1) {
    const difference = one.urgency[index] - other.urgency[index];
    if (difference) return difference;
  }
  return one.id.toLowerCase() < other.id.toLowerCase() ? -1 : 1;
}

export function isOfKind(instance, kind) {
  if (kind === "live") return instance.is_live;
  if (kind === "paper") return !instance.is_live;
  return kind === "all" || instance.needs_person;
}

/** Return what it does, or else its state, in the reader's words. */
export function stateOf(each) {
  return each.state === "running" && each.doing_text ? each.doing_text : each.state_text;
}

/** Return the same in every language. */
function stateCode(each) {
  return each.state === "running" && each.doing ? each.doing : each.state;
}

function facts(each) {
  const words = [each.id, each.exchange, each.symbol, each.strategy, each.state, each.state_text, each.doing, each.doing_text];
  return [...words, each.mode, each.mode_text, ...each.tags].filter(Boolean).join(" ").toLowerCase();
}

/** Return what it earned today, of the kind and currency that it trades now. */
export function todayOf(instance) {
  const kind = instance.is_artificial ? instance.market : instance.mode;
  return instance.today.find((each) => each.kind === kind && each.quote === instance.quote) ?? null;
}
