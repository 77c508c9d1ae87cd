-- Instructions of programs, as they were loaded: a Redis hash of pages, so that a program of any length is
-- written and read in short steps. What is sent ahead of its program waits as a draft of the session.
-- Invariant: every page but the last is full, and no page of a loaded program ever changes.
local kernel = use("base/kernel")
local cred = use("base/cred")
local uapi = use("uapi")
local call = redis.call

local insns = {}
local sys = kernel.sys
local INSN_BYTES = 8
local PAGE_INSNS = uapi.PAGE_INSNS
-- A draft that is not loaded in this time goes.
local DRAFT_MS = 60000

local function stored(id)
  return kernel.key("insns", id)
end

local function draft_key(draft)
  return kernel.key("draft", current.sid .. ":" .. draft)
end

local function pages(insn_cnt)
  return math.ceil(insn_cnt / PAGE_INSNS)
end

-- Pages `first` and on of a program to be loaded under the name `draft`.
function sys.prog_stage(draft, first, ...)
  local key = draft_key(draft)
  for i, page in ipairs({ ... }) do call("HSET", key, first + i - 1, page) end
  call("PEXPIRE", key, DRAFT_MS)
end

-- STALE when a draft is not there as a whole, for then the service sends it again.
function insns.check_draft(draft, insn_cnt)
  if draft ~= "" and call("HLEN", draft_key(draft)) ~= pages(insn_cnt) then
    error({ errno = "STALE", detail = "the instructions sent ahead are gone" }, 0)
  end
end

-- The instructions in `text`, or those of the draft.
function insns.save(id, text, draft)
  if draft ~= "" then
    call("RENAME", draft_key(draft), stored(id))
    call("PERSIST", stored(id))
    return
  end
  local bytes = PAGE_INSNS * INSN_BYTES
  for page = 0, math.ceil(#text / bytes) - 1 do
    call("HSET", stored(id), page, text:sub(page * bytes + 1, (page + 1) * bytes))
  end
end

function insns.free(id)
  call("UNLINK", stored(id))
end

-- Pages from `first` on, as many as one script answers, and whether there are more.
local function read_pages(id, first, insn_cnt)
  local last = math.min(first + uapi.STEP_PAGES, pages(insn_cnt)) - 1
  local names = {}
  for page = first, last do names[#names + 1] = page end
  return table.concat(call("HMGET", stored(id), unpack(names))), last + 1 < pages(insn_cnt) and 1 or 0
end

-- All instructions, or false where it would be more than one script answers.
function insns.read(id, insn_cnt)
  local read = (current.insns_read or 0) + pages(insn_cnt)
  if read > uapi.STEP_PAGES then return false end
  current.insns_read = read
  return (read_pages(id, 0, insn_cnt))
end

-- A step of reading a long program, of this id and time of loading; false when it is gone.
function sys.prog_pages(id, load_time, first)
  local loaded, insn_cnt = unpack(call("HMGET", kernel.key("prog", id), "load_time", "insn_cnt"))
  if loaded ~= load_time then return false end
  return read_pages(id, tonumber(first), tonumber(insn_cnt))
end

-- Names of the distinct maps of a list of ids, each after its id.
local function names(ids)
  local seen, rows = {}, {}
  for id in ids:gmatch("%d+") do
    if not seen[id] then
      seen[id] = true
      rows[#rows + 1] = id
      rows[#rows + 1] = call("HGET", kernel.key("map", id), "map_name") or ""
    end
  end
  return rows
end

-- How many instructions there are, at most `limit` from `start` on, the id behind each index that
-- these name a map by, and the maps' names.
function sys.prog_insns(id, start, limit)
  cred.need_admin("reading a prog by id")
  if not call("ZSCORE", kernel.key("ids:prog"), id) then
    kernel.fail("ENOENT", "no prog has id " .. id)
  end
  local count, ids = unpack(call("HMGET", kernel.key("prog", id), "insn_cnt", "maps"))
  local first = math.floor(start / PAGE_INSNS)
  local at = (start - first * PAGE_INSNS) * INSN_BYTES
  local text = tonumber(start) < tonumber(count) and read_pages(id, first, tonumber(count)) or ""
  return count, text:sub(at + 1, at + limit * INSN_BYTES), ids, names(ids)
end

return insns
