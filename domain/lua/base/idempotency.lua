-- Idempotency of requests: the first answer to a request with a record is kept for a day and given to
-- every repeat of it. The names of records and the fingerprints come from redis/idempotency.ts.
-- Invariant: an answer and the changes it reports are written by the same call, or neither is. An answer that
-- is too large to keep leaves a record that says so, so that a repeat changes nothing either.
local kernel = use("base/kernel")
local clock = use("base/clock")
local layout = use("base/layout")
local session = use("base/session")
local record_bytes = use("base/record_bytes")
local call = redis.call

local idempotency = {}

-- Bytes of the largest answer that is kept.
local ANSWER_MAX = 65536

-- Replies that say that nothing was done and nothing was decided.
local UNKEPT = { FAULT = true, TOKEN = true, ENDED = true, STALE = true, WRITES = true, DUE = true }

-- A command that is the first half of a request leaves the record to the second half: all of it, or its
-- successes while its failures end the request.
local function is_kept(command, reply)
  local code, half = reply[1], kernel.first_half[command]
  local succeeded = code == "" or code == "+"
  if half == "all" or (half == "success" and succeeded) then return false end
  -- What a namespace that is being deleted refuses, it does not refuse once it is gone.
  return not UNKEPT[code] and (succeeded or not current.deleting)
end

-- The token that session_create answers ends with the namespace, so that its record counts in one generation.
local function generation_of(command)
  return command == "session_create" and layout.generation() or ""
end

-- The fingerprint and the reply of the record, if it counts, and whether the reply stands for a larger one.
local function read(key)
  local kept = call("HMGET", key, "fingerprint", "reply", "generation", "large")
  local generation = kept[3] or ""
  if generation == "" or generation == layout.generation() then return kept[1], kept[2], kept[4] end
end

-- Bytes of the texts in an answer, which are packed only when they are few: a long value takes time to pack.
local function text_bytes(value)
  if type(value) == "string" then return #value end
  local bytes = 0
  if type(value) == "table" then
    for _, item in ipairs(value) do bytes = bytes + text_bytes(item) end
  end
  return bytes
end

-- The answer as its record keeps it, and its bytes if they are too many. Versions that do not know the field
-- `large` answer EOVERFLOW.
local function pack(reply)
  local bytes, packed = text_bytes(reply), nil
  if bytes <= ANSWER_MAX then
    packed = cmsgpack.pack(reply)
    bytes = #packed
  end
  if bytes <= ANSWER_MAX then return packed end
  return cmsgpack.pack({ "EOVERFLOW", "the request was carried out, once; its answer of " .. bytes
    .. " bytes was too large to keep (at most " .. ANSWER_MAX .. "): read the state" }), bytes
end

local function write(key, command, fingerprint, reply)
  local packed, large = pack(reply)
  call("HSET", key, "fingerprint", fingerprint, "reply", packed, "generation", generation_of(command))
  if large then call("HSET", key, "large", large) end
  call("PEXPIRE", key, record_bytes.KEEP_MS)
  record_bytes.add(packed)
end

-- The first answer, its code "" replaced by "=", so that the service can tell a repeat.
local function remembered(packed, large)
  local reply = cmsgpack.unpack(packed)
  if large then return { "LARGE", reply[2] } end
  if reply[1] == "" or reply[1] == "+" then reply[1] = "=" end
  return reply
end

-- Answers a repeat from the record; else runs the command by attempt() and keeps its answer.
function idempotency.once(record, fingerprint, command, attempt)
  clock.read()
  local key = kernel.key("idem", record)
  local first, kept, large = read(key)
  if first then
    if first ~= fingerprint then
      return { "IDEMPOTENCY", "the Idempotency-Key was used with another request: choose a new key" }
    end
    -- A repeat renews its session, too.
    if current.sid ~= "" then pcall(session.enter) end
    return remembered(kept, large)
  end
  local bytes, most = record_bytes.excess()
  if bytes then
    return { "RECORDS", "the answers kept for Idempotency-Keys of the namespace have " .. bytes
      .. " bytes, at most " .. most .. " are kept: send the request without a key, or later" }
  end
  local reply = attempt()
  if is_kept(command, reply) then
    write(key, command, fingerprint, reply)
  end
  return reply
end

return idempotency
