-- Store each loaded entry whose key still holds the caller's lease.
-- KEYS: entry keys.
-- ARGV: token; per key: the entry (empty: give the lease back), for how long it is kept (ms).
-- Returns {now, {per key: 1 stored, 0 refused}}.
-- Cost: O(keys). Atomic, because a mark between the look and the store would be overwritten.

local token, stored = ARGV[1], {}

local function give_back(key, entry)
  if entry.state == 'L' then return save_tombstone(key, entry.till - now) end
  local raw = string.sub(entry.raw, 1, 4) .. NO_TOKEN .. string.sub(entry.raw, CHECKED)
  redis.call('SET', key, raw, 'KEEPTTL')
end

for i, key in ipairs(KEYS) do
  local raw, entry = get(key), nil
  if well_formed(raw) then entry = unpack_entry(raw) end
  local holds = entry and string.find('LVA', entry.state, 1, true) and entry.token == token
  stored[i] = holds and 1 or 0
  if holds and ARGV[2 * i] == '' then give_back(key, entry)
  elseif holds then redis.call('SET', key, ARGV[2 * i], 'PX', ARGV[2 * i + 1]) end
end
return { now, stored }
