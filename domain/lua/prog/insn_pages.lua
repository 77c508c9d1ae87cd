-- Commands that move a long program in steps, so that no script is long.
local kernel = use("base/kernel")
local insns = use("prog/insns")
local call = redis.call

local sys = kernel.sys
-- A draft that no load uses expires.
local DRAFT_MS = 60000

--[[
  Stores pages of a long program under a draft, which expires by itself (first part of BPF_PROG_LOAD).

    Input:
      draft  name that prog_load gives
      first  number of the first page
      ...    pages, uapi.PAGE_INSNS instructions each
    Output: nothing
    Errors: none
]]
function sys.prog_stage(draft, first, ...)
  local key = insns.draft_key(draft)
  for i, page in ipairs({ ... }) do call("HSET", key, first + i - 1, page) end
  call("PEXPIRE", key, DRAFT_MS)
end

--[[
  Reads pages of a long program, for a run (part of BPF_PROG_TEST_RUN).

    Input:
      id         of the program
      load_time  of the program: a later one with this id has another
      first      number of the first page
    Output:
      insns  bytes, or false when the program is gone
      more   1 when there are more pages, else 0
    Errors: none
]]
function sys.prog_pages(id, load_time, first)
  local loaded, insn_cnt = unpack(call("HMGET", kernel.key("prog", id), "load_time", "insn_cnt"))
  if loaded ~= load_time then return false end
  return insns.read_pages(id, tonumber(first), tonumber(insn_cnt))
end
