-- Long blobs, which are sent ahead of BPF_BTF_LOAD in parts, so that no script is long.
-- Invariant: a draft grows only at its end, so that a part that is sent twice is not stored twice.
local kernel = use("base/kernel")
local call = redis.call

local btf_draft = {}
-- A draft that no load uses expires.
local DRAFT_MS = 60000

local function key(draft)
  return kernel.key("draft", current.sid .. ":" .. draft)
end

local function check_length(draft, bytes)
  if call("STRLEN", key(draft)) ~= bytes then
    error({ errno = "STALE", detail = "the parts sent ahead are gone" }, 0)
  end
end

-- Fails with STALE when a draft is incomplete, so that the service sends it again.
function btf_draft.check(draft, bytes)
  if draft ~= "" then check_length(draft, bytes) end
end

-- Stores the bytes, or those of the draft.
function btf_draft.save(stored, bytes, draft)
  if draft == "" then
    call("SET", stored, bytes)
  else
    call("RENAME", key(draft), stored)
    call("PERSIST", stored)
  end
end

--[[
  Stores a part of a long blob under a draft, which expires by itself (first part of BPF_BTF_LOAD).

    Input:
      draft  name that btf_load gives
      at     offset of the part
      part   bytes
    Output: nothing
    Errors:
      STALE  the draft has another length
]]
function kernel.sys.btf_stage(draft, at, part)
  check_length(draft, tonumber(at))
  call("APPEND", key(draft), part)
  call("PEXPIRE", key(draft), DRAFT_MS)
end

return btf_draft
