-- BTF objects (kernel/bpf/btf.c): an immutable blob under an id. Beside the blob stands what commands ask of
-- its types, so that none of them parses it; see btf_type.lua.
-- Invariant: the record counts one reference more than its holders are (floor), so that a version which does
-- not know BTF objects closes their files without freeing them; reap() finds what such a version left.
local kernel = use("base/kernel")
local refcount = use("base/refcount")
local work = use("base/work")
local cred = use("base/cred")
local fd_table = use("file/fd_table")
local idr = use("file/idr")
local btf_draft = use("btf/btf_draft")
local uapi = use("uapi")
local call = redis.call

local btf = {}
local FLOOR = 1
-- O_RDONLY, whatever the caller asks for.
local READ = 1
local SIZE_MAX, LOG_LEVEL_MAX, LOG_SIZE_MAX = 16777216, 15, 1073741823
local TOKEN_FD = uapi.BPF_F_TOKEN_FD
-- BTF objects that one sweep looks at, and holders of each.
local REAPED, HOLDERS = 8, 16

local function blob(id)
  return kernel.key("blob", id)
end

function btf.types_key(id)
  return kernel.key("btf_types", id)
end

-- In the order of uapi.BTF_INFO.
local function info(id)
  local fields = call("HMGET", kernel.key("btf", id), unpack(uapi.BTF_INFO))
  fields[#fields] = fields[#fields] - FLOOR
  return fields
end

-- As many bytes as there is room for, and as one script answers.
local function parts(id, room)
  if not room.btf_size then return {} end
  local from, bytes = room.btf_from or 0, math.min(room.btf_size, uapi.BTF_STEP_BYTES)
  return { bytes == 0 and "" or call("GETRANGE", blob(id), from, from + bytes - 1) }
end

local function free(id)
  work.unlink(kernel.key("btf", id))
  work.unlink(kernel.key("holders:btf", id))
  work.unlink(blob(id))
  work.unlink(btf.types_key(id))
end

refcount.kinds.btf = { info = info, parts = parts, free = free, floor = FLOOR }

-- Takes off the references of maps and programs that a version freed which does not know what they held.
local function drop_gone(id)
  local held = call("HRANDFIELD", kernel.key("holders:btf", id), HOLDERS, "WITHVALUES")
  for i = 1, #held, 2 do
    local kind, holder = held[i]:match("^(%a+):(%d+)$")
    if (kind == "map" or kind == "prog") and call("EXISTS", kernel.key(kind, holder)) == 0 then
      refcount.put("btf", id, held[i], held[i + 1])
    end
  end
end

-- Frees BTF objects that nobody holds, a few of them at a time.
function btf.reap()
  local ids = call("ZRANDMEMBER", kernel.key("ids:btf"), REAPED)
  for _, id in ipairs(ids) do
    if refcount.is_held("btf", id) then drop_gone(id) else refcount.bury("btf", id) end
  end
end

-- The open file of a BTF object behind fd.
function btf.fget(fd)
  return fd_table.fget_kind(fd, "btf")
end

local function check_token(flags, token_fd)
  if flags - bit.band(flags, TOKEN_FD) ~= 0 then
    kernel.fail("EINVAL", "btf_flags must be 0, got " .. flags)
  end
  if flags == 0 then return end
  fd_table.fget(token_fd)
  kernel.fail("EINVAL", "btf_flags must not have BPF_F_TOKEN_FD: there are no BPF tokens")
end

-- bpf_verifier_log_attr_valid(), for a buffer of btf_log_size bytes; 0 for none.
local function check_log(level, size)
  if level > LOG_LEVEL_MAX then
    kernel.fail("EINVAL", "btf_log_level must be from 0 to " .. LOG_LEVEL_MAX .. ", got " .. level)
  end
  if size > LOG_SIZE_MAX then
    kernel.fail("EINVAL", "btf_log_size must be at most " .. LOG_SIZE_MAX .. ", got " .. size)
  end
  if level == 0 and size > 0 then
    kernel.fail("EINVAL", "btf_log_size must be 0 where btf_log_level is 0, got " .. size)
  end
end

--[[
  BPF_BTF_LOAD (kernel: bpf_btf_load()): makes a BTF object and an fd for it.

    Input:
      attr_json     attributes: btf_size, btf_flags, btf_token_fd, btf_log_level, btf_log_size
      data          the blob, "" for a draft
      verdict_json  of the check outside of Redis: errno and detail of a refused blob, else string_bytes
      types         facts of its types, see btf_type.lua
      special       special fields of its structs and sections as JSON, "" for none
      draft         name of the parts of the blob sent ahead, or ""
      types_draft   name of the parts of the facts sent ahead, or ""
    Output:
      fd, id
    Errors:
      EINVAL    an attribute or the blob is wrong
      EBADF     btf_token_fd is not open
      EPERM     the caller lacks CAP_BPF
      E2BIG     the blob, its header or the depth of its types is too large
      ENOTSUPP  the version, a flag or an encoding is not supported
      EEXIST    types contain each other
      EFAULT    a special struct has a wrong size
      ELOOP     special structs own each other
      ENOENT    a tag names a struct that does not exist
      ENOSPC    the log is longer than btf_log_size
      EMFILE    the session has as many fds as its nofile allows
      STALE     a draft is gone: the service sends it again
]]
function kernel.sys.btf_load(attr_json, data, verdict_json, types, special, draft, types_draft)
  local attr, verdict = cjson.decode(attr_json), cjson.decode(verdict_json)
  check_token(attr.btf_flags, attr.btf_token_fd)
  if not cred.capable_or_admin("CAP_BPF") then kernel.fail("EPERM", "loading BTF needs CAP_BPF") end
  if attr.btf_size > SIZE_MAX then
    kernel.fail("E2BIG", "btf must have at most " .. SIZE_MAX .. " bytes, got " .. attr.btf_size)
  end
  check_log(attr.btf_log_level, attr.btf_log_size)
  -- An empty log tells the service that the blob was refused, whose log it has.
  if verdict.errno then error({ errno = verdict.errno, detail = verdict.detail, log = "" }, 0) end
  btf_draft.check(draft, attr.btf_size)
  btf_draft.check(types_draft, verdict.types_bytes)
  local fd, id = idr.publish("btf", READ, { "refcnt", FLOOR, "btf_size", attr.btf_size,
    "string_bytes", verdict.string_bytes, "special", special })
  btf_draft.save(blob(id), data, draft)
  btf_draft.save(btf.types_key(id), types, types_draft)
  return fd, id
end

return btf
