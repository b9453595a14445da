-- Take a writer's token out of each key's marker; the last one out deletes the entry, whatever it
-- is, or leaves a tombstone.
-- KEYS: the groups' epoch keys, then all entry keys (rows of every live schema), group by group.
-- ARGV: number of groups, token, fresh epoch;
--       per group: the schemas that the caller knows (12 bytes each), whole (0/1), grace (ms),
--       number of its entry keys.
-- Returns {now, 1}, or {now, 0, {live schemas per group}} where a list was outdated: nothing changed.
-- Cost: O(keys). Atomic, because two writers that leave at once must not both see the other.

local groups, token, fresh = tonumber(ARGV[1]), ARGV[2], ARGV[3]

local epochs, alive, outdated = {}, {}, false
for g = 1, groups do
  local given = ARGV[4 * g]
  epochs[g] = parse_epoch(KEYS[g]) or false
  alive[g] = epochs[g] and schema_ids(epochs[g]) or given
  outdated = outdated or alive[g] ~= given
end
if outdated then return { now, 0, alive } end

local function release_epoch(key, epoch, whole, grace)
  local tokens = live_tokens(epoch.tokens, token)
  if #writers(tokens) == 0 then
    for _, schema in ipairs(epoch.schemas) do schema.since = 0 end
  end
  if whole then add_grace(tokens, token, now, grace) end
  epoch.tokens = pack_tokens(tokens)
  if whole then epoch.id = fresh end
  save_epoch(key, epoch)
end

local owners = cleared_owners(groups + 1, token)

local at = groups
for g = 1, groups do
  local base = 4 * g
  local grace = tonumber(ARGV[base + 2])
  if epochs[g] then release_epoch(KEYS[g], epochs[g], ARGV[base + 1] == '1', grace) end
  for _ = 1, tonumber(ARGV[base + 3]) do
    at = at + 1
    if #owners[at] > 0 then save_marker(KEYS[at], owners[at], grace)
    else save_tombstone(KEYS[at], grace) end
  end
end
return { now, 1 }
