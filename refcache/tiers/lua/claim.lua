-- Give a lease on every key that nobody holds and that has no fresh value; announce the schemas.
-- KEYS: the groups' epoch keys, then all entry keys, group by group.
-- ARGV: number of groups, token, fresh epoch, lease (ms), refresh (0/1);
--       per group: schema, for how long it stays alive unseen (ms), number of its entry keys;
--       then pairs: index of an entry key, the witness (entries.py) of the distrusted value there.
-- Returns {now, {epoch entry per group}, {per entry key: 0 refused, 1 lease, 2 lease that must read
--         the primary, or the entry that stands there}}.
-- Cost: O(keys). Atomic, so that overlapping callers get disjoint leases.

local MOST_SCHEMAS = 32
local groups, token, fresh = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local lease, refresh = tonumber(ARGV[4]), ARGV[5] == '1'

local witnesses = {}
for i = 6 + 3 * groups, #ARGV, 2 do witnesses[tonumber(ARGV[i])] = ARGV[i + 1] end

local function announced(key, schema, keep)
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
    local since = mine and mine.since or last_deadline(tokens)
    mine = { id = schema, since = since, till = now + keep }
    if #others >= MOST_SCHEMAS then -- Their entries must not be met again: a new epoch.
      epoch.id = fresh
      while #others >= MOST_SCHEMAS do table.remove(others, 1) end
    end
    others[#others + 1] = mine
    epoch.schemas, epoch.tokens, changed = others, pack_tokens(tokens), true
  end
  if changed then save_epoch(key, epoch) end
  local closed = mine.since > now
  for _, writer in ipairs(live_tokens(epoch.tokens)) do closed = closed or writer.kind == 'e' end
  return epoch, closed, is_new
end

local function give_lease(key, epoch, tombstone)
  local deadline = now + lease
  local till = tombstone > now and tombstone or 0
  local raw = pack_entry(key, 'L', token .. six(deadline), epoch.id, till, '')
  redis.call('SET', key, raw, 'PX', math.max(deadline, till) - now)
  return till > 0 and 2 or 1
end

-- The entry that must be respected, or nil where the key is free.
local function standing(key, raw, epoch, is_new)
  if not well_formed(raw) then return nil end
  local entry = unpack_entry(raw)
  if entry.state == 'V' or entry.state == 'A' then
    -- Values under a schema that was not listed: no write has to have reached them.
    return not is_new and entry.epoch == epoch.id and entry or nil
  end
  if not parse(key, raw) then return nil end
  if entry.state == 'M' then
    if #live_tokens(entry.body) > 0 then return entry end
    entry.state = 'T'
  end
  return math.max(entry.till, entry.deadline) > now and entry or nil
end

local function claim_key(index, key, epoch, is_new)
  local raw = get(key)
  local entry = standing(key, raw, epoch, is_new)
  if not entry then return give_lease(key, epoch, 0) end
  local stored = entry.state == 'V' or entry.state == 'A'
  if stored and witnesses[index] == string.sub(raw, 1, HEADER) .. six(#raw) then
    return give_lease(key, epoch, 0)
  end
  if entry.state == 'L' or entry.state == 'T' then
    if entry.state == 'L' and entry.deadline > now then return raw end
    return give_lease(key, epoch, entry.till)
  end
  if entry.state == 'M' or entry.deadline > now then return raw end
  if stored and entry.till > now and not refresh then return raw end
  local held = token .. six(now + lease)
  redis.call('SET', key, string.sub(raw, 1, 4) .. held .. string.sub(raw, CHECKED), 'KEEPTTL')
  return 1
end

local epochs, replies, at = {}, {}, groups
for g = 1, groups do
  local base = 3 + 3 * g
  local epoch, closed, is_new = announced(KEYS[g], ARGV[base], tonumber(ARGV[base + 1]))
  epochs[g] = epoch.raw
  for _ = 1, tonumber(ARGV[base + 2]) do
    at = at + 1
    replies[#replies + 1] = closed and 0 or claim_key(at - groups, KEYS[at], epoch, is_new)
  end
end
return { now, epochs, replies }
