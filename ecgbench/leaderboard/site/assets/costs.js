
/** What the detectors of one data take by themselves, and the artifacts that they read, each once. */
function makeCosts({ data, detectors, artifacts, total }, isNamed, sorts) {
  const named = detectors.filter(isNamed);
  const own = named.length && makeTable({ caption: `${data}: detectors`, columns: DETECTOR_COSTS, rows: named, sort: sorts.costs });
  const shared = artifacts.length && makeTable({ caption: `${data}: artifacts`, columns: ARTIFACT_COSTS, rows: artifacts, sort: sorts.artifacts, total });
  return [own, shared].filter(Boolean);
}

const DETECTOR_COSTS = [
  nameColumn((_, name) => name),
  number("own seconds", (one) => one.seconds, showSeconds),
  number("own peak MiB", (one) => one.peak_memory, showMemory),
  number("LLM calls", (one) => one.llm_calls, showCount),
  number("tokens", (one) => one.tokens, showCount),
  words("reads", (one) => one.reads),
];
const ARTIFACT_COSTS = [
  nameColumn((_, name) => name, "artifact"),
  { ...number("no.", (one) => one.number), isLowBest: true },
  number("seconds", (one) => one.seconds, showSeconds),
  number("peak MiB", (one) => one.peak_memory, showMemory),
  number("LLM calls", (one) => one.llm_calls, showCount),
  number("tokens read", (one) => one.prompt_tokens, showCount),
  number("tokens written", (one) => one.reply_tokens, showCount),
];
