-- What the four scripts share; put before each of them when it is loaded. The layout of an entry
-- and of an epoch entry is refcache/core/entries.py's, and the rules are refcache/core/rules.py's.

local HEADER, CHECKED, LONGEST = 44, 19, 65536
local NO_TOKEN = string.rep('\0', 14)

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

-- Which server this is, since its last start. Where nobody may ask, there is one for ever.
local info = redis.pcall('INFO', 'server')
local run_id = type(info) == 'string' and string.match(info, 'run_id:(%x%x%x%x%x%x%x%x%x%x%x%x)')
local incarnation = run_id and tonumber(run_id, 16) or 0

local function num(bytes)
  local n = 0
  for i = 1, #bytes do n = n * 256 + string.byte(bytes, i) end
  return n
end

local function six(n)
  local high, low, floor = math.floor(n / 16777216), n % 16777216, math.floor
  return string.char(floor(high / 65536) % 256, floor(high / 256) % 256, high % 256,
                     floor(low / 65536), floor(low / 256) % 256, low % 256)
end

-- The polynomial hash of entries.py; each product stays below 2^49, which a double holds exactly.
local function checksum(key, checked)
  local text, total = key .. checked, 0
  for i = 1, #text do total = (total * 65599 + string.byte(text, i)) % 4294967296 end
  local bytes = {}
  for i = 4, 1, -1 do
    bytes[i] = string.char(total % 256)
    total = math.floor(total / 256)
  end
  return table.concat(bytes)
end

-- A key of another type (a list, a hash) is nothing of ours and may be overwritten.
local function get(key)
  local raw = redis.pcall('GET', key)
  return type(raw) == 'string' and raw or nil
end

local function well_formed(raw)
  return raw and #raw >= HEADER and string.byte(raw, 19) == 1
    and string.find('VALMTE', string.sub(raw, 20, 20), 1, true) ~= nil
end

local function unpack_entry(raw)
  return {
    raw = raw,
    state = string.sub(raw, 20, 20),
    token = string.sub(raw, 5, 12),
    deadline = num(string.sub(raw, 13, 18)),
    epoch = string.sub(raw, 21, 32),
    till = num(string.sub(raw, 39, 44)),
    body = string.sub(raw, 45),
  }
end

-- For the states that scripts make: L, M, T and E. What is longer than any of them is none.
local function parse(key, raw)
  if not well_formed(raw) or #raw > LONGEST then return nil end
  if string.sub(raw, 1, 4) ~= checksum(key, string.sub(raw, CHECKED)) then return nil end
  return unpack_entry(raw)
end

local function pack_entry(key, state, held, epoch, till, body)
  local checked = '\1' .. state .. epoch .. six(now) .. six(till) .. body
  return checksum(key, checked) .. held .. checked
end

local function live_tokens(body, except)
  local tokens = {}
  for i = 1, #body - 14, 15 do
    local token = { id = string.sub(body, i, i + 7), deadline = num(string.sub(body, i + 8, i + 13)),
                    kind = string.sub(body, i + 14, i + 14) }
    if token.deadline > now and token.id ~= except then tokens[#tokens + 1] = token end
  end
  return tokens
end

local function pack_tokens(tokens)
  local parts = {}
  for i, token in ipairs(tokens) do parts[i] = token.id .. six(token.deadline) .. token.kind end
  return table.concat(parts)
end

local function last_deadline(tokens)
  local last = 0
  for _, token in ipairs(tokens) do last = math.max(last, token.deadline) end
  return last
end

-- Without what writers have left: see GRACE_TOKEN in entries.py.
local function writers(tokens)
  local found = {}
  for _, token in ipairs(tokens) do
    if token.kind ~= 'g' then found[#found + 1] = token end
  end
  return found
end

-- Where fills read replicas: what keeps them from it until `grace` after `since`.
local function add_grace(tokens, id, since, grace)
  if grace <= 0 then return end
  for i = #tokens, 1, -1 do
    if tokens[i].id == id and tokens[i].kind == 'g' then table.remove(tokens, i) end
  end
  tokens[#tokens + 1] = { id = id, deadline = since + grace, kind = 'g' }
end

local function parse_epoch(key)
  local raw = get(key)
  local entry = parse(key, raw)
  if not entry or entry.state ~= 'E' or #entry.body == 0 then return nil end
  if incarnation ~= 0 and entry.till ~= incarnation then return nil end -- Restored, or another server's: not trusted.
  local schemas, count = {}, string.byte(entry.body, 1)
  for i = 2, 1 + 24 * count, 24 do
    schemas[#schemas + 1] = { id = string.sub(entry.body, i, i + 11),
                              since = num(string.sub(entry.body, i + 12, i + 17)),
                              till = num(string.sub(entry.body, i + 18, i + 23)) }
  end
  return { raw = raw, id = entry.epoch, schemas = schemas, incarnation = entry.till,
           tokens = string.sub(entry.body, 2 + 24 * count) }
end

local function save_epoch(key, epoch)
  local parts = { string.char(#epoch.schemas) }
  for _, schema in ipairs(epoch.schemas) do
    parts[#parts + 1] = schema.id .. six(schema.since) .. six(schema.till)
  end
  local body = table.concat(parts) .. epoch.tokens
  epoch.raw = pack_entry(key, 'E', NO_TOKEN, epoch.id, epoch.incarnation or incarnation, body)
  redis.call('SET', key, epoch.raw)
end

local function schema_ids(epoch)
  local ids = {}
  for i, schema in ipairs(epoch.schemas) do ids[i] = schema.id end
  return table.concat(ids)
end

local NO_EPOCH = string.rep('\0', 12)

local function save_marker(key, tokens, grace)
  local last = last_deadline(tokens)
  local till = grace > 0 and last + grace or 0
  local raw = pack_entry(key, 'M', NO_TOKEN, NO_EPOCH, till, pack_tokens(tokens))
  redis.call('SET', key, raw, 'PX', math.max(last, till) - now)
end

local function save_tombstone(key, grace)
  if grace <= 0 then return redis.call('DEL', key) end
  local raw = pack_entry(key, 'T', NO_TOKEN, NO_EPOCH, now + grace, '')
  redis.call('SET', key, raw, 'PX', grace)
end

-- The tokens of a marker's other owners; none where no marker stands.
local function other_owners(key, token)
  local entry = parse(key, get(key))
  if not entry or entry.state ~= 'M' then return {} end
  return live_tokens(entry.body, token)
end

-- The other owners of every marker from KEYS[first] on. What stands there is deleted at once: after
-- a call that frees memory, a Redis that is full lets the script go on.
local function cleared_owners(first, token)
  local owners = {}
  for at = first, #KEYS do
    owners[at] = other_owners(KEYS[at], token)
    redis.call('DEL', KEYS[at])
  end
  return owners
end
