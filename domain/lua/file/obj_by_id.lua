-- Commands that open or describe one object: by its id, and by its fd.
local kernel = use("base/kernel")
local work_list = use("base/work_list")
local refcount = use("base/refcount")
local cred = use("base/cred")
local file = use("file/file")
local fd_table = use("file/fd_table")
local idr = use("file/idr")
local uapi = use("uapi")

local sys = kernel.sys
local KNOWN_FLAGS = uapi.BPF_F_RDONLY + uapi.BPF_F_WRONLY

local function open_by_id(kind, id, flags)
  local mode = file.mode(flags)
  cred.need_admin("opening a " .. kind .. " by id")
  if not mode then
    kernel.fail("EINVAL", "open_flags must not have both BPF_F_RDONLY and BPF_F_WRONLY, got " .. flags)
  end
  idr.check_living(kind, id)
  return idr.open(kind, id, mode)
end

--[[
  BPF_MAP_GET_FD_BY_ID (kernel: bpf_map_get_fd_by_id()): opens a map, be it held by programs only.

    Input:
      id     of the map
      flags  0, BPF_F_RDONLY or BPF_F_WRONLY
    Output:
      fd, kind, id
    Errors:
      EINVAL  flags has another bit, or both at once
      EPERM   the caller lacks CAP_SYS_ADMIN
      ENOENT  no map has this id
      EMFILE  the session has as many fds as its nofile allows
]]
function sys.map_get_fd_by_id(id, flags)
  if tonumber(flags) - bit.band(flags, KNOWN_FLAGS) ~= 0 then
    kernel.fail("EINVAL", "open_flags must be 0, BPF_F_RDONLY (8) or BPF_F_WRONLY (16), got " .. flags)
  end
  return open_by_id("map", id, tonumber(flags))
end

--[[
  BPF_PROG_GET_FD_BY_ID (kernel: bpf_prog_get_fd_by_id()): opens a program.

    Input:
      id  of the program
    Output:
      fd, kind, id
    Errors:
      EPERM   the caller lacks CAP_SYS_ADMIN
      ENOENT  no program has this id
      EMFILE  the session has as many fds as its nofile allows
]]
function sys.prog_get_fd_by_id(id)
  return open_by_id("prog", id, 0)
end

--[[
  BPF_BTF_GET_FD_BY_ID (kernel: bpf_btf_get_fd_by_id()): opens a BTF object, be it held by maps and programs
  only.

    Input:
      id     of the BTF object
      flags  0
    Output:
      fd, kind, id
    Errors:
      EINVAL  flags has another bit than BPF_F_TOKEN_FD, or this one, because there are no BPF tokens
      EPERM   the caller lacks CAP_SYS_ADMIN
      ENOENT  no BTF object has this id
      EMFILE  the session has as many fds as its nofile allows
]]
function sys.btf_get_fd_by_id(id, flags)
  if flags ~= "0" then kernel.fail("EINVAL", "open_flags must be 0 for a BTF object, got " .. flags) end
  return open_by_id("btf", id, uapi.BPF_F_RDONLY)
end

--[[
  BPF_OBJ_GET_INFO_BY_FD (kernel: bpf_obj_get_info_by_fd()): describes the object behind fd.

    Input:
      fd   number of the descriptor
      ...  room for the parts of the object, in the order of uapi.INFO_ROOM, "" for none
    Output:
      kind, id  of the object
      info      in the order of uapi.MAP_INFO, uapi.PROG_INFO or uapi.BTF_INFO
      flags     of the open file: 0, BPF_F_RDONLY or BPF_F_WRONLY
      parts     bytes: of a BTF object, or the func_info and line_info of a program
    Errors:
      EBADFD  fd is not open
      EINVAL  fd is a standard stream, or the size of a record is wrong
]]
function sys.obj_get_info_by_fd(fd, ...)
  local f = fd_table.fget(fd, "EBADFD")
  work_list.need_released()
  local kind, parts = refcount.kinds[f.kind], {}
  if kind.parts then
    local room = {}
    for i, field in ipairs(uapi.INFO_ROOM) do room[field] = tonumber((select(i, ...))) end
    parts = kind.parts(f.id, room)
  end
  return f.kind, f.id, kind.info(f.id), f.flags, parts
end
