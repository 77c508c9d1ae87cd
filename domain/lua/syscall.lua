-- The entry: every call is one command of one namespace, run to its end or not at all.
-- ARGV: module, command, session id and token hash ("" for a command of nobody's), the idempotency
-- record's id and the request's fingerprint ("" without), then the command's own arguments.
-- Answers { "", values... }, or { errno, detail, log } when it failed; what is left for the sweeper
-- to do is told by "+" instead of "", the first answer to a request that is repeated by "=".
local kernel = use("kernel")
local call = redis.call

-- How long the first answer to an Idempotency-Key is kept.
local KEEP_MS = 86400000

local module, name, sid, token, record, fingerprint = unpack(ARGV, 1, 6)

local function run()
  if use("clock").due() then use("release").due() end
  if sid ~= "" then use("session").enter(sid, token) end
  local reply = { "", use(module).sys[name](unpack(ARGV, 7)) }
  if has("work") then use("work").drain() end
  return reply
end

-- A check raised: nothing was written. Anything else is a bug or Redis' own refusal, told apart by
-- the caller; the text goes as data, for the client library reads words in error replies.
local function failure(raised)
  if type(raised) == "table" and raised.errno then
    if raised.counted then use("map").count_failure(raised.counted) end
    return { raised.errno, raised.detail, raised.log or false }
  end
  if type(raised) == "table" then raised = raised.err end
  return { "FAULT", tostring(raised) }
end

-- What due sessions left to do is kept even when the command itself failed.
local function attempt()
  local ok, reply = pcall(run)
  if not ok then reply = failure(reply) end
  if has("work") and use("work").save() and reply[1] == "" then reply[1] = "+" end
  return reply
end

-- Not kept: what was no answer, and what is for the command after it (module.first_half): all of that, or
-- all but its failures.
local function keeps(reply)
  local code, half = reply[1], (use(module).first_half or {})[name]
  if half == "all" or (half == "success" and (code == "" or code == "+")) then return false end
  return code ~= "FAULT" and code ~= "TOKEN" and code ~= "ENDED" and code ~= "STALE"
end

local function remembered()
  local key = kernel.key("idem", record)
  local kept = call("HMGET", key, "fingerprint", "reply")
  if kept[1] then
    if kept[1] ~= fingerprint then return { "IDEMPOTENCY", "the key was used with another request" } end
    -- A repeat is a sign of life, too.
    if sid ~= "" then pcall(use("session").enter, sid, token) end
    local reply = cmsgpack.unpack(kept[2])
    if reply[1] == "" or reply[1] == "+" then reply[1] = "=" end
    return reply
  end
  local reply = attempt()
  if keeps(reply) then
    call("HSET", key, "fingerprint", fingerprint, "reply", cmsgpack.pack(reply))
    call("PEXPIRE", key, KEEP_MS)
  end
  return reply
end

return record == "" and attempt() or remembered()
