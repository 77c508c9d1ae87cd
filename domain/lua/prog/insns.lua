-- Instructions of programs, as they were loaded: a Redis hash of pages, so that a program of any length is
-- written and read in short steps. What is sent ahead of its program waits as a draft of the session.
-- Invariant: every page but the last is full, and no page of a loaded program ever changes.
local kernel = use("base/kernel")
local work = use("base/work")
local uapi = use("uapi")
local call = redis.call

local insns = {}
local INSN_BYTES = 8
local PAGE_INSNS = uapi.PAGE_INSNS

local function stored(id)
  return kernel.key("insns", id)
end

function insns.draft_key(draft)
  return kernel.key("draft", current.sid .. ":" .. draft)
end

local function pages(insn_cnt)
  return math.ceil(insn_cnt / PAGE_INSNS)
end

-- Fails with STALE when a draft is incomplete, so that the service sends it again.
function insns.check_draft(draft, insn_cnt)
  if draft ~= "" and call("HLEN", insns.draft_key(draft)) ~= pages(insn_cnt) then
    error({ errno = "STALE", detail = "the instructions sent ahead are gone" }, 0)
  end
end

-- The instructions in `text`, or those of the draft.
function insns.save(id, text, draft)
  if draft ~= "" then
    call("RENAME", insns.draft_key(draft), stored(id))
    call("PERSIST", stored(id))
    return
  end
  local bytes = PAGE_INSNS * INSN_BYTES
  for page = 0, math.ceil(#text / bytes) - 1 do
    call("HSET", stored(id), page, text:sub(page * bytes + 1, (page + 1) * bytes))
  end
end

function insns.free(id)
  work.unlink(stored(id))
end

-- Pages from `first` on, as many as one script answers, and whether there are more.
function insns.read_pages(id, first, insn_cnt)
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
  return (insns.read_pages(id, 0, insn_cnt))
end

return insns
