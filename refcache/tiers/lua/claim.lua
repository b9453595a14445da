-- Give a lease on every key that nobody holds and that has no fresh value; announce the schemas.
-- KEYS: the groups' epoch keys, then all entry keys, group by group.
-- ARGV: number of groups, token, fresh epoch, lease (ms), refresh (0/1);
--       per group: schema, for how long it stays alive unseen (ms), grace (ms), number of its
--       entry keys;
--       then pairs: index of an entry key, the witness (entries.py) of the distrusted value there.
-- Returns {now, {epoch entry per group}, {per entry key: 0 refused, 1 lease, 2 lease that must read
--         the primary, or the entry that stands there}}.
-- Cost: O(keys). Atomic, so that overlapping callers get disjoint leases.

local MOST_SCHEMAS = 32
local groups, token, fresh = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local lease, refresh = tonumber(ARGV[4]), ARGV[5] == '1'

local witnesses = {}
for i = 6 + 4 * groups, #ARGV, 2 do witnesses[tonumber(ARGV[i])] = ARGV[i + 1] end

local function announced(key, schema, keep, grace)
  local epoch = parse_epoch(key)
  local changed = epoch == nil
  epoch = epoch or { id = fresh, schemas = {}, tokens = '' }
  local mine, others = nil, {}
  for _, other in ipairs(epoch.schemas) do
    if other.id == schema then mine = other
    elseif other.till > now then others[#others + 1] = other end
  end
  local is_new = mine == nil
  if is_new or mine.till - now < math.floor(keep / 2) then
    local tokens = live_tokens(epoch.tokens)
    -- Writers under way do not know a new schema: it may fill when they are over.
    local since = mine and mine.since or last_deadline(writers(tokens))
    mine = { id = schema, since = since, till = now + keep }
    if #others >= MOST_SCHEMAS then -- Their entries must not be met again: a new epoch.
      epoch.id = fresh
      while #others >= MOST_SCHEMAS do table.remove(others, 1) end
    end
    others[#others + 1] = mine
    -- Under a new schema no tombstones tell of what was just written.
    if is_new then add_grace(tokens, string.rep('\0', 8), now, grace) end
    epoch.schemas, epoch.tokens, changed = others, pack_tokens(tokens), true
  end
  if changed then save_epoch(key, epoch) end
  local closed = mine.since > now
  epoch.reads_primary = false
  for _, each in ipairs(live_tokens(epoch.tokens)) do
    closed = closed or each.kind == 'e'
    epoch.reads_primary = epoch.reads_primary or each.kind == 'g'
  end
  epoch.grace, epoch.is_new = grace, is_new
  return epoch, closed
end

local function granted(epoch, tombstone)
  return (tombstone > now or epoch.reads_primary) and 2 or 1
end

local function give_lease(key, epoch, tombstone)
  local deadline = now + lease
  local till = tombstone > now and tombstone or 0
  local raw = pack_entry(key, 'L', token .. six(deadline), epoch.id, till, '')
  redis.call('SET', key, raw, 'PX', math.max(deadline, till) - now)
  return granted(epoch, till)
end

-- The entry that must be respected, or nil where the key is free.
local function standing(key, raw, epoch)
  if not well_formed(raw) then return nil end
  local entry = unpack_entry(raw)
  if entry.state == 'V' or entry.state == 'A' then
    return entry.epoch == epoch.id and entry or nil
  end
  if not parse(key, raw) then return nil end
  if entry.state == 'M' then
    if #live_tokens(entry.body) > 0 then return entry end
    entry.state = 'T'
  end
  return math.max(entry.till, entry.deadline) > now and entry or nil
end

-- When a replica has what a value was loaded from: the last write came before it.
local function settled(entry, epoch)
  return epoch.grace > 0 and num(string.sub(entry.raw, 33, 38)) + epoch.grace or 0
end

local function claim_key(index, key, epoch)
  local raw = get(key)
  local entry = standing(key, raw, epoch)
  if not entry then return give_lease(key, epoch, 0) end
  if entry.state == 'L' or entry.state == 'T' then
    if entry.state == 'L' and entry.deadline > now then return raw end
    return give_lease(key, epoch, entry.till)
  end
  if entry.state == 'M' then return raw end
  -- Values under a schema that was not listed: no write has to have reached them.
  if epoch.is_new or witnesses[index] == string.sub(raw, 1, HEADER) .. six(#raw) then
    return give_lease(key, epoch, settled(entry, epoch))
  end
  if entry.deadline > now or (entry.till > now and not refresh) then return raw end
  local held = token .. six(now + lease)
  redis.call('SET', key, string.sub(raw, 1, 4) .. held .. string.sub(raw, CHECKED), 'KEEPTTL')
  return granted(epoch, settled(entry, epoch))
end

local epochs, replies, at = {}, {}, groups
for g = 1, groups do
  local base = 2 + 4 * g
  local keep, grace = tonumber(ARGV[base + 1]), tonumber(ARGV[base + 2])
  local epoch, closed = announced(KEYS[g], ARGV[base], keep, grace)
  epochs[g] = epoch.raw
  for _ = 1, tonumber(ARGV[base + 3]) do
    at = at + 1
    replies[#replies + 1] = closed and 0 or claim_key(at - groups, KEYS[at], epoch)
  end
end
return { now, epochs, replies }
