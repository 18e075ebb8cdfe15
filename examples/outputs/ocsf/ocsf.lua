-- Makes an event of OCSF of each record: a filter `lua` of Fluent Bit, with `call: ocsf`.
-- ocsf.vrl says the same for Vector; a test compares what they make of the same records.
--
-- A member that is copied as it is into an attribute leaves `unmapped`; every other one stays there.

local VERSION = "1.8.0"

local AUTHENTICATION = {uid = 3002, name = "Authentication"}
local ACCOUNT_CHANGE = {uid = 3001, name = "Account Change"}
local GROUP_MANAGEMENT = {uid = 3006, name = "Group Management"}
local FILE_HOSTING = {uid = 6006, name = "File Hosting Activity"}
local DATA_SECURITY_FINDING = {uid = 2006, name = "Data Security Finding"}
local API_ACTIVITY = {uid = 6003, name = "API Activity"}

local OTHER = 99

-- Operations of Entra ID, without the full stop at their end.
local ACCOUNT = {
    ["Add user"] = 1,
    ["Enable account"] = 2,
    ["Change user password"] = 3,
    ["Reset user password"] = 4,
    ["Disable account"] = 5,
    ["Delete user"] = 6,
    ["Hard Delete user"] = 6,
    ["Enable Strong Authentication"] = 10,
    ["User registered security info"] = 10,
    ["Admin registered security info"] = 10,
    ["Disable Strong Authentication"] = 11,
    ["User deleted security info"] = 11,
    ["Admin deleted security info"] = 11,
    ["Update user"] = OTHER,
    ["Restore user"] = OTHER,
    ["Change user license"] = OTHER,
    ["Set force change user password"] = OTHER,
    ["Set user manager"] = OTHER,
    ["Update StsRefreshTokenValidFrom Timestamp"] = OTHER,
}
local GROUP = {
    ["Add member to group"] = 3,
    ["Remove member from group"] = 4,
    ["Delete group"] = 5,
    ["Hard Delete group"] = 5,
    ["Add group"] = 6,
    ["Update group"] = OTHER,
    ["Restore Group"] = OTHER,
    ["Add owner to group"] = OTHER,
    ["Remove owner from group"] = OTHER,
}
-- Of Teams.
local TEAM = {MemberAdded = 3, MemberRemoved = 4, TeamDeleted = 5, TeamCreated = 6}
-- Of SharePoint and OneDrive.
local FILE = {
    FileUploaded = 1, FileUploadedPartial = 1, FileSyncUploadedFull = 1, FileSyncUploadedPartial = 1,
    FileDownloaded = 2, FileSyncDownloadedFull = 2, FileSyncDownloadedPartial = 2,
    FileModified = 3, FileModifiedExtended = 3, FolderModified = 3,
    FileDeleted = 4, FileDeletedFirstStageRecycleBin = 4, FileDeletedSecondStageRecycleBin = 4,
    FileRecycled = 4, FileVersionRecycled = 4, FileVersionsAllDeleted = 4, FolderDeleted = 4,
    FolderDeletedFirstStageRecycleBin = 4, FolderDeletedSecondStageRecycleBin = 4, FolderRecycled = 4,
    FileRenamed = 5, FolderRenamed = 5,
    FileCopied = 6, FolderCopied = 6,
    FileMoved = 7, FolderMoved = 7,
    FileRestored = 8, FolderRestored = 8,
    FilePreviewed = 9,
    FileCheckedOut = 10,
    FileCheckedIn = 11, FileCheckOutDiscarded = 11,
    SharingSet = 12, AddedToSecureLink = 12, AnonymousLinkCreated = 12, CompanyLinkCreated = 12,
    SecureLinkCreated = 12, SharingInvitationCreated = 12, SharingLinkCreated = 12,
    SharingRevoked = 13, AnonymousLinkRemoved = 13, CompanyLinkRemoved = 13,
    RemovedFromSecureLink = 13, SecureLinkDeleted = 13, SharingInvitationRevoked = 13,
    FileAccessed = 14, FileAccessedExtended = 14, AnonymousLinkUsed = 14, CompanyLinkUsed = 14,
    SecureLinkUsed = 14, PageViewed = 14, PageViewedExtended = 14,
}
-- What is shared is no file, in records of SharePoint that could be of one.
local NO_FILE = {Web = true, Site = true, List = true, Tenant = true}
-- Record types of data loss prevention.
local DLP = {[11] = true, [13] = true, [33] = true, [63] = true, [107] = true}
local DLP_OPERATION = {dlprulematch = 1, dlpinfo = 2, dlpruleundo = 3}
-- How operations of all others begin, or else end, in lower case.
local BEGINS = {
    {"new", 1}, {"add", 1}, {"create", 1}, {"get", 2}, {"view", 2}, {"read", 2}, {"search", 2},
    {"export", 2}, {"mailitemsaccessed", 2}, {"set", 3}, {"update", 3}, {"edit", 3}, {"change", 3},
    {"enable", 3}, {"disable", 3}, {"move", 3}, {"rename", 3}, {"remove", 4}, {"delete", 4},
    {"softdelete", 4}, {"harddelete", 4},
}
local ENDS = {
    {"uninstalled", 4}, {"created", 1}, {"added", 1}, {"installed", 1}, {"sent", 1}, {"viewed", 2}, {"accessed", 2},
    {"visited", 2}, {"read", 2}, {"exported", 2}, {"performed", 2}, {"downloaded", 2},
    {"updated", 3}, {"modified", 3}, {"changed", 3}, {"renamed", 3}, {"moved", 3}, {"applied", 3},
    {"deleted", 4}, {"removed", 4},
}
-- Microsoft's UserType.
local USER_TYPE = {[0] = 1, [2] = 2, [3] = 2, [4] = 3, [5] = 4, [6] = 4, [10] = 1}
local STATUS = {
    success = 1, succeeded = 1, ["true"] = 1, failed = 2, failure = 2, fail = 2, ["false"] = 2,
}
local STATUS_NAME = {"Success", "Failure", [OTHER] = "Other"}
local SEVERITY = {low = 2, medium = 3, high = 4}

-- A text that says something.
local function text(value)
    if type(value) == "string" and value ~= "" then return value end
end

-- A member of what may be an object.
local function member(value, name)
    if type(value) == "table" then return value[name] end
end

-- The elements of what may be a list.
local function each(value)
    if type(value) == "table" then return ipairs(value) end
    return ipairs({})
end

-- The value of a name in a list of names and values.
local function named(list, name, key)
    for _, entry in each(list) do
        if member(entry, "Name") == name then
            local value = text(member(entry, key))
            if value then return value end
        end
    end
end

-- What a property was changed to, or from; Entra ID writes some as a list in a text.
local function modified(record, name)
    local list = record.ModifiedProperties
    local value = named(list, name, "NewValue") or named(list, name, "OldValue")
    return value and (value:match('^%[%s*"(.-)"%s*%]$') or value)
end

-- Milliseconds since 1970 of a time of Microsoft's, which is in UTC.
local function milliseconds(value)
    local year, month, day, hour, minute, second, fraction =
        (text(value) or ""):match("^(%d%d%d%d)-(%d%d)-(%d%d)T(%d%d):(%d%d):(%d%d)(%.?%d*)Z?$")
    year, month, day = tonumber(year), tonumber(month), tonumber(day)
    if not year or month < 1 or 12 < month or day < 1 or 31 < day then return end
    -- Days since 1970, in years that begin in March.
    if month < 3 then year, month = year - 1, month + 12 end
    local days = 365 * year + math.floor(year / 4) - math.floor(year / 100)
        + math.floor(year / 400) + math.floor((153 * month - 457) / 5) + day - 719469
    local seconds = days * 86400 + hour * 3600 + minute * 60 + second
    return seconds * 1000 + math.floor((tonumber("0" .. fraction) or 0) * 1000)
end

-- An address and its port.
local function address(value)
    value = text(value)
    if not value then return end
    local ip, port = value:match("^(%d+%.%d+%.%d+%.%d+):(%d+)$")
    if not ip then ip, port = value:match("^%[([%x:.]+)%]:(%d+)$") end
    ip = ip or value
    if ip:match("^%d+%.%d+%.%d+%.%d+$") or ip:match("^[%x.]*:[%x.]*:[%x:.]*$") then
        return ip, tonumber(port)
    end
end

-- The class of a record and its activity.
local function classify(record, operation)
    local kind, name = record.RecordType, operation:gsub("%.$", "")
    if kind == 9 or kind == 15 then
        local ends = operation:match("[Ll]og[Oo]ff") or operation:match("LoggedO")
        return AUTHENTICATION, ends and 2 or 1
    elseif kind == 8 and ACCOUNT[name] then
        return ACCOUNT_CHANGE, ACCOUNT[name]
    elseif kind == 8 and GROUP[name] then
        return GROUP_MANAGEMENT, GROUP[name]
    elseif kind == 25 and TEAM[name] then
        return GROUP_MANAGEMENT, TEAM[name]
    elseif DLP[kind] or DLP_OPERATION[name:lower()] then
        return DATA_SECURITY_FINDING, DLP_OPERATION[name:lower()] or 1
    elseif kind == 6 or ((kind == 4 or kind == 14) and FILE[name]) then
        if not NO_FILE[record.ItemType] then return FILE_HOSTING, FILE[name] or OTHER end
    end
    local lower = name:lower()
    for _, rule in ipairs(BEGINS) do
        if lower:sub(1, #rule[1]) == rule[1] then return API_ACTIVITY, rule[2] end
    end
    for _, rule in ipairs(ENDS) do
        if lower:sub(-#rule[1]) == rule[1] then return API_ACTIVITY, rule[2] end
    end
    return API_ACTIVITY, OTHER
end

-- The one who acts.
local function acting(record, take)
    local user = {name = take("UserId"), uid = take("UserKey")}
    if not user.name and not user.uid then user.name = "unknown" end
    if user.name and user.name:match("^[%w.!#$%%&'*+/=?^_`{|}~-]+@[%w-]+%.[%w.-]+$") then
        user.email_addr = user.name
    end
    local kind = record.UserType
    user.type_id = type(kind) == "number" and (USER_TYPE[kind] or OTHER) or 0
    if user.type_id == OTHER then user.type = string.format("UserType %d", kind) end
    return user
end

-- Whom something is done to, in records of Entra ID.
local function target(record, take)
    local user = {}
    local object = take("ObjectId")
    if object and object:find("@", 1, true) then user.name = object else user.uid = object end
    for _, entry in each(record.Target) do
        local id = text(member(entry, "ID")) or ""
        if id:find("@", 1, true) then
            user.name = user.name or id
        else
            user.uid = user.uid or id:match("^User_(.+)$")
        end
    end
    if not user.name and not user.uid then user.name = "unknown" end
    return user
end

local function group(record, take, activity)
    if record.RecordType == 25 then
        local one = {name = take("TeamName"), uid = take("TeamGuid")}
        local name = text(member(member(record.Members, 1), "UPN"))
        return one, name and {name = name}
    elseif activity == 3 or activity == 4 then
        return {name = modified(record, "Group.DisplayName"), uid = modified(record, "Group.ObjectID")},
            target(record, take)
    end
    return {name = modified(record, "DisplayName"), uid = take("ObjectId")}
end

local function file(record, take)
    local path = take("ObjectId")
    local kinds = {File = 1, Page = 1, Folder = 2}
    return {
        name = take("SourceFileName") or (path or ""):match("([^/]+)/?$") or "unknown",
        type_id = kinds[record.ItemType] or 0,
        path = path,
        ext = take("SourceFileExtension"),
        uid = take("ListItemUniqueId"),
    }
end

-- What was found, by which policy, and how bad it is.
local function finding(record, take, event)
    local policy = member(record.PolicyDetails, 1) or record.PolicyMatchInfo
    local rule = member(member(policy, "Rules"), 1) or record.PolicyMatchInfo
    for _, one in each(record.PolicyDetails) do
        for _, each_rule in each(member(one, "Rules")) do
            local severity = SEVERITY[(text(member(each_rule, "Severity")) or ""):lower()]
            if severity and event.severity_id < severity then event.severity_id = severity end
        end
    end
    local name, uid = text(member(policy, "PolicyName")), text(member(policy, "PolicyId"))
    event.finding_info = {
        uid = take("IncidentId") or text(record.Id) or "unknown",
        title = name or text(record.Operation) or "unknown",
    }
    local rule_name, rule_uid = text(member(rule, "RuleName")), text(member(rule, "RuleId"))
    if rule_name or rule_uid then
        event.finding_info.analytic = {name = rule_name, uid = rule_uid, type_id = 1}
    end
    event.data_security = {detection_system_id = record.RecordType == 63 and 1 or 10}
    if name or uid then event.data_security.policy = {name = name, uid = uid} end
    local file_name = text(member(record.SharePointMetaData, "FileName"))
    if file_name then
        local path = text(member(record.SharePointMetaData, "FilePathUrl"))
        event.file = {name = file_name, path = path, type_id = 1}
    end
end

local function protocol(record)
    local request = named(record.ExtendedProperties, "RequestType", "Value") or ""
    if request:match("^OAuth2") then return 6 end
    if request:match("^OpenId") then return 4 end
    if request:match("^Saml") then return 5 end
end

-- What the classes have of their own.
local function fill(event, record, take)
    local class, user = event.class_uid, acting(record, take)
    local object = class ~= 3001 and class ~= 3006 and class ~= 6006 and take("ObjectId") or nil
    if class == 3002 then
        local app = take("ApplicationId")
        event.user, event.actor = user, app and {app_uid = app}
        event.service = {name = text(record.Workload) or "unknown", uid = object}
        event.status_detail = take("LogonError")
        event.auth_protocol_id = protocol(record)
        return
    end
    event.actor = {user = user}
    if class == 3001 then
        event.user = target(record, take)
    elseif class == 3006 then
        event.group, event.user = group(record, take, event.activity_id)
        if not event.group.name and not event.group.uid then event.group.name = "unknown" end
    elseif class == 6006 then
        event.file = file(record, take)
    elseif class == 2006 then
        finding(record, take, event)
    else
        event.api = {operation = text(record.Operation) or "unknown"}
        local workload = text(record.Workload)
        if workload then event.api.service = {name = workload} end
    end
    if object then event.resources = {{uid = object}} end
end

-- How it ended. A finding has a state of its own in its place.
local function status(event, record, take)
    local result = text(record.ResultStatus)
    if event.class_uid == 2006 then
        event.status_id = event.activity_id == 3 and 4 or 1
        event.status = event.status_id == 4 and "Resolved" or "New"
    elseif result then
        event.status_id = STATUS[result:lower()] or OTHER
        event.status = event.status_id == OTHER and result or STATUS_NAME[event.status_id]
    end
    -- Entra ID says more exactly why somebody could not sign in.
    local number = event.class_uid == 3002 and take("ErrorNumber")
    event.status_code = number or take("ResultStatus")
end

function ocsf(tag, timestamp, record)
    local taken = {}
    -- The text of a member; it needs no place in `unmapped`.
    local function take(name)
        local value = text(record[name])
        if value then taken[name] = true end
        return value
    end

    local operation = take("Operation")
    local class, activity = classify(record, operation or "")
    local event = {
        category_uid = math.floor(class.uid / 1000),
        class_uid = class.uid,
        class_name = class.name,
        activity_id = activity,
        activity_name = activity == OTHER and (operation or "unknown") or nil,
        type_uid = class.uid * 100 + activity,
        severity_id = 1,
        time = milliseconds(record.CreationTime) or math.floor(timestamp * 1000),
        metadata = {
            version = VERSION,
            uid = take("Id"),
            event_code = operation,
            tenant_uid = take("OrganizationId"),
            original_time = take("CreationTime"),
            log_name = text(member(record.m365_audit, "content_type")),
            product = {name = "Microsoft 365", vendor_name = "Microsoft"},
        },
    }
    local workload = take("Workload")
    if workload then event.metadata.product.feature = {name = workload} end
    status(event, record, take)
    for _, name in ipairs({"ClientIP", "ClientIPAddress", "ActorIpAddress"}) do
        local ip, port = address(record[name])
        if ip then
            if not event.src_endpoint then event.src_endpoint = {ip = ip, port = port} end
            -- With a port it is not kept as it was.
            if ip == event.src_endpoint.ip and ip == record[name] then take(name) end
        end
    end
    if not event.src_endpoint and 6000 < class.uid then event.src_endpoint = {name = "unknown"} end
    fill(event, record, take)
    if class.uid ~= 2006 then
        local agent = take("UserAgent") or named(record.ExtendedProperties, "UserAgent", "Value")
        if agent then event.http_request = {user_agent = agent} end
    end
    for name, value in pairs(record) do
        if not taken[name] then
            event.unmapped = event.unmapped or {}
            event.unmapped[name] = value
        end
    end
    -- 2: the event keeps its time.
    return 2, timestamp, event
end
