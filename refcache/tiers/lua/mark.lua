-- Add a writer's token to the marker of each key, whatever stands there.
-- KEYS: the groups' epoch keys, then all entry keys (rows of every live schema), group by group.
-- ARGV: number of groups, token, fresh epoch, write timeout (ms);
--       per group: the schemas that the caller knows (12 bytes each), whole (0/1), grace (ms),
--       number of its entry keys.
-- Returns {now, 1}, or {now, 0, {live schemas per group}} where a list was outdated: nothing changed.
-- Cost: O(keys). Atomic, because a schema announced between the look and the marks would be missed.

local groups, token, fresh, timeout = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])

local epochs, alive, outdated = {}, {}, false
for g = 1, groups do
  epochs[g] = parse_epoch(KEYS[g]) or { id = fresh, schemas = {}, tokens = '' }
  alive[g] = schema_ids(epochs[g])
  outdated = outdated or alive[g] ~= ARGV[1 + 4 * g]
end
if outdated then return { now, 0, alive } end

local function mark_epoch(key, epoch, whole, grace)
  local kind = whole and 'e' or 'r'
  for _, before in ipairs(live_tokens(epoch.tokens)) do
    if before.id == token and before.kind == 'e' then kind = 'e' end
  end
  local tokens = live_tokens(epoch.tokens, token)
  tokens[#tokens + 1] = { id = token, deadline = now + timeout, kind = kind }
  -- Its writer may commit and die.
  if kind == 'e' then add_grace(tokens, token, now + timeout, grace) end
  epoch.tokens = pack_tokens(tokens)
  if whole then epoch.id = fresh end
  save_epoch(key, epoch)
end

local owners = cleared_owners(groups + 1, token)

local at = groups
for g = 1, groups do
  local base = 1 + 4 * g
  local grace = tonumber(ARGV[base + 2])
  mark_epoch(KEYS[g], epochs[g], ARGV[base + 1] == '1', grace)
  for _ = 1, tonumber(ARGV[base + 3]) do
    at = at + 1
    local tokens = owners[at]
    tokens[#tokens + 1] = { id = token, deadline = now + timeout, kind = 'r' }
    save_marker(KEYS[at], tokens, grace)
  end
end
return { now, 1 }
