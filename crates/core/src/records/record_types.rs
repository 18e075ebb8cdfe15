//! The names behind the numbers `RecordType` and `UserType`.
//!
//! Sources: Microsoft's schema of the Management Activity API, tables `AuditLogRecordType` (257
//! members) and `UserType`, as of 2026-06-24 (page dated 2025-10-15). Where the schema has a gap:
//! the names that the `-RecordType` argument of `Search-UnifiedAuditLog` takes, with the numbers
//! that a retention policy shows for them (April 2022); Microsoft Graph's enumeration has them in
//! the same order. About a quarter of the types that a live tenant emits are in neither, and stay
//! without a name. Two names are written in the schema as products are called today, with a space;
//! here the space is left out.

/// The name of a record type, if Microsoft has published one.
pub(crate) fn record_type_name(number: i64) -> Option<&'static str> {
    name(RECORD_TYPES, number).or_else(|| name(UNDOCUMENTED_RECORD_TYPES, number))
}

/// The record type called `text`, in any case and with or without spaces.
pub(crate) fn record_type_called(text: &str) -> Option<i64> {
    let wanted: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let tables = [RECORD_TYPES, UNDOCUMENTED_RECORD_TYPES, FORMER_NAMES];
    let mut rows = tables.into_iter().flatten();
    let row = rows.find(|(_, name)| name.eq_ignore_ascii_case(&wanted))?;
    Some(i64::from(row.0))
}

/// Every name that [`record_type_called`] knows.
pub(crate) fn record_type_names() -> impl Iterator<Item = &'static str> {
    let tables = [RECORD_TYPES, UNDOCUMENTED_RECORD_TYPES, FORMER_NAMES];
    tables.into_iter().flatten().map(|(_, name)| *name)
}

/// The name of a user type.
pub(crate) fn user_type_name(number: i64) -> Option<&'static str> {
    name(USER_TYPES, number)
}

/// The user type called `text`, in any case.
pub(crate) fn user_type_called(text: &str) -> Option<i64> {
    let row = USER_TYPES.iter().find(|(_, name)| name.eq_ignore_ascii_case(text.trim()))?;
    Some(i64::from(row.0))
}

fn name(table: &[(u16, &'static str)], number: i64) -> Option<&'static str> {
    let number = u16::try_from(number).ok()?;
    let row = table.binary_search_by_key(&number, |(number, _)| *number).ok()?;
    Some(table[row].1)
}

/// Members of `UserType`.
const USER_TYPES: &[(u16, &str)] = &[
    (0, "Regular"),
    (1, "Reserved"),
    (2, "Admin"),
    (3, "DCAdmin"),
    (4, "System"),
    (5, "Application"),
    (6, "ServicePrincipal"),
    (7, "CustomPolicy"),
    (8, "SystemPolicy"),
    (9, "PartnerTechnician"),
    (10, "Guest"),
];

/// What types were called before they were renamed; users' searches still say so.
const FORMER_NAMES: &[(u16, &str)] =
    &[(22, "Yammer"), (44, "WorkplaceAnalytics"), (103, "PrivacyDataMinimization")];

/// Members of `AuditLogRecordType`.
const RECORD_TYPES: &[(u16, &str)] = &[
    (1, "ExchangeAdmin"),
    (2, "ExchangeItem"),
    (3, "ExchangeItemGroup"),
    (4, "SharePoint"),
    (6, "SharePointFileOperation"),
    (7, "OneDrive"),
    (8, "AzureActiveDirectory"),
    (9, "AzureActiveDirectoryAccountLogon"),
    (10, "DataCenterSecurityCmdlet"),
    (11, "ComplianceDLPSharePoint"),
    (13, "ComplianceDLPExchange"),
    (14, "SharePointSharingOperation"),
    (15, "AzureActiveDirectoryStsLogon"),
    (16, "SkypeForBusinessPSTNUsage"),
    (17, "SkypeForBusinessUsersBlocked"),
    (18, "SecurityComplianceCenterEOPCmdlet"),
    (19, "ExchangeAggregatedOperation"),
    (20, "PowerBIAudit"),
    (21, "CRM"),
    (22, "VivaEngage"),
    (23, "SkypeForBusinessCmdlets"),
    (24, "Discovery"),
    (25, "MicrosoftTeams"),
    (28, "ThreatIntelligence"),
    (29, "MailSubmission"),
    (30, "MicrosoftFlow"),
    (31, "AeD"),
    (32, "MicrosoftStream"),
    (33, "ComplianceDLPSharePointClassification"),
    (34, "ThreatFinder"),
    (35, "Project"),
    (36, "SharePointListOperation"),
    (37, "SharePointCommentOperation"),
    (38, "DataGovernance"),
    (39, "Kaizala"),
    (40, "SecurityComplianceAlerts"),
    (41, "ThreatIntelligenceUrl"),
    (42, "SecurityComplianceInsights"),
    (43, "MIPLabel"),
    (44, "VivaInsights"),
    (45, "PowerAppsApp"),
    (46, "PowerAppsPlan"),
    (47, "ThreatIntelligenceAtpContent"),
    (48, "LabelContentExplorer"),
    (49, "TeamsHealthcare"),
    (50, "ExchangeItemAggregated"),
    (51, "HygieneEvent"),
    (52, "DataInsightsRestApiAudit"),
    (53, "InformationBarrierPolicyApplication"),
    (54, "SharePointListItemOperation"),
    (55, "SharePointContentTypeOperation"),
    (56, "SharePointFieldOperation"),
    (57, "MicrosoftTeamsAdmin"),
    (58, "HRSignal"),
    (59, "MicrosoftTeamsDevice"),
    (60, "MicrosoftTeamsAnalytics"),
    (61, "InformationWorkerProtection"),
    (62, "Campaign"),
    (63, "DLPEndpoint"),
    (64, "AirInvestigation"),
    (65, "Quarantine"),
    (66, "MicrosoftForms"),
    (67, "ApplicationAudit"),
    (68, "ComplianceSupervisionExchange"),
    (69, "CustomerKeyServiceEncryption"),
    (70, "OfficeNative"),
    (71, "MipAutoLabelSharePointItem"),
    (72, "MipAutoLabelSharePointPolicyLocation"),
    (73, "MicrosoftTeamsShifts"),
    (75, "MipAutoLabelExchangeItem"),
    (76, "CortanaBriefing"),
    (78, "WDATPAlerts"),
    (79, "PowerAppsResource"),
    (82, "SensitivityLabelPolicyMatch"),
    (83, "SensitivityLabelAction"),
    (84, "SensitivityLabeledFileAction"),
    (85, "AttackSim"),
    (86, "AirManualInvestigation"),
    (87, "SecurityComplianceRBAC"),
    (88, "UserTraining"),
    (89, "AirAdminActionInvestigation"),
    (90, "MSTIC"),
    (91, "PhysicalBadgingSignal"),
    (92, "TeamsEasyApprovals"),
    (93, "AipDiscover"),
    (94, "AipSensitivityLabelAction"),
    (95, "AipProtectionAction"),
    (96, "AipFileDeleted"),
    (97, "AipHeartBeat"),
    (98, "MCASAlerts"),
    (99, "OnPremisesFileShareScannerDlp"),
    (100, "OnPremisesSharePointScannerDlp"),
    (101, "ExchangeSearch"),
    (102, "SharePointSearch"),
    (103, "PrivacyInsights"),
    (105, "MyAnalyticsSettings"),
    (106, "SecurityComplianceUserChange"),
    (107, "ComplianceDLPExchangeClassification"),
    (109, "MipExactDataMatch"),
    (113, "MS365DCustomDetection"),
    (147, "CoreReportingSettings"),
    (148, "ComplianceConnector"),
    (154, "OMEPortal"),
    (157, "MipLabelAnalyticsAuditRecord"),
    (164, "ScorePlatformGenericAuditRecord"),
    (174, "DataShareOperation"),
    (181, "EduDataLakeDownloadOperation"),
    (183, "MicrosoftGraphDataConnectOperation"),
    (186, "PowerPagesSite"),
    (187, "PowerPlatformAdminDlp"),
    (188, "PlannerPlan"),
    (189, "PlannerCopyPlan"),
    (190, "PlannerTask"),
    (191, "PlannerRoster"),
    (192, "PlannerPlanList"),
    (193, "PlannerTaskList"),
    (194, "PlannerTenantSettings"),
    (195, "ProjectForThewebProject"),
    (196, "ProjectForThewebTask"),
    (197, "ProjectForThewebRoadmap"),
    (198, "ProjectForThewebRoadmapItem"),
    (199, "ProjectForThewebProjectSettings"),
    (200, "ProjectForThewebRoadmapSettings"),
    (202, "MicrosoftTodoAudit"),
    (206, "MicrosoftTeamsSensitivityLabelAction"),
    (216, "VivaGoals"),
    (217, "MicrosoftGraphDataConnectConsent"),
    (218, "AttackSimAdmin"),
    (230, "TeamsUpdates"),
    (231, "PlannerRosterSensitivityLabel"),
    (235, "MicrosoftDefenderForIdentityAudit"),
    (237, "DefenderExpertsforXDRAdmin"),
    (251, "VfamCreatePolicy"),
    (252, "VfamUpdatePolicy"),
    (253, "VfamDeletePolicy"),
    (256, "PowerPlatformAdministratorActivity"),
    (257, "Windows365CustomerLockbox"),
    (261, "CopilotInteraction"),
    (265, "VivaLearning"),
    (266, "VivaLearningAdmin"),
    (269, "PeopleAdminSettings"),
    (275, "OWAAuth"),
    (277, "SharePointESignature"),
    (278, "Dynamics365BusinessCentral"),
    (279, "MeshWorlds"),
    (280, "VivaPulseResponse"),
    (281, "VivaPulseOrganizer"),
    (282, "VivaPulseAdmin"),
    (283, "VivaPulseReport"),
    (284, "AIAppInteraction"),
    (285, "ComplianceDLMExchange"),
    (286, "ComplianceDLMSharePoint"),
    (287, "ProjectForThewebAssignedToMeSettings"),
    (288, "CloudPolicyService"),
    (291, "SensitiveInfoDiscovered"),
    (292, "InsiderRiskScopedUserInsights"),
    (293, "MicrosoftTeamsRetentionLabelAction"),
    (294, "AadRiskDetection"),
    (295, "AuditSearch"),
    (296, "AuditRetentionPolicy"),
    (297, "AuditConfig"),
    (298, "BackupPolicy"),
    (299, "RestoreTask"),
    (300, "RestoreItem"),
    (301, "BackupItem"),
    (302, "URBACAssignment"),
    (303, "URBACRole"),
    (304, "URBACEnableState"),
    (306, "PurviewInsiderRiskCases"),
    (307, "PurviewInsiderRiskAlerts"),
    (308, "InsiderRiskScopedUsers"),
    (310, "CreateCopilotPlugin"),
    (311, "UpdateCopilotPlugin"),
    (312, "DeleteCopilotPlugin"),
    (313, "EnableCopilotPlugin"),
    (314, "DisableCopilotPlugin"),
    (315, "CreateCopilotWorkspace"),
    (316, "UpdateCopilotWorkspace"),
    (317, "DeleteCopilotWorkspace"),
    (318, "EnableCopilotWorkspace"),
    (319, "DisableCopilotWorkspace"),
    (320, "CreateCopilotPromptBook"),
    (321, "UpdateCopilotPromptBook"),
    (322, "DeleteCopilotPromptBook"),
    (323, "EnableCopilotPromptBook"),
    (324, "DisableCopilotPromptBook"),
    (325, "UpdateCopilotSettings"),
    (328, "ConnectedAIAppInteraction"),
    (329, "PrivaPrivacyConsentOperation"),
    (330, "PrivaPrivacyAssessmentOperation"),
    (331, "DataCatalogAccessRequests"),
    (332, "ComplianceSettingsChange"),
    (333, "DataSecurityInvestigation"),
    (334, "TeamCopilotInteraction"),
    (335, "IRMActivityAuditTrail"),
    (336, "SharePointContentSecurityPolicy"),
    (337, "CloudUpdateProfileConfig"),
    (338, "CloudUpdateTenantConfig"),
    (339, "CloudUpdateDeviceConfig"),
    (341, "DeviceDiscoverySettingsExclusion"),
    (342, "DeviceDiscoverySettingsAuthenticatedScans"),
    (344, "DeviceDiscoverySettings"),
    (345, "USXWorkspaceOnboarding"),
    (346, "VivaGlintAdvancedConfiguration"),
    (347, "VivaGlintPulseProgram"),
    (348, "VivaGlintPulseProgramRespondentRate"),
    (349, "VivaGlintQuestion"),
    (350, "VivaGlintRole"),
    (351, "VivaGlintRubicon"),
    (352, "VivaGlintSupportAccess"),
    (353, "VivaGlintSystem"),
    (354, "VivaGlintUser"),
    (355, "VivaGlintUserGroup"),
    (356, "VivaGlintFeedbackProgram"),
    (357, "FabricAudit"),
    (358, "TrainableClassifier"),
    (359, "WebContentFiltering"),
    (360, "NoisyAlertPolicy"),
    (361, "DataScanClassification"),
    (362, "AIInteractionsExport"),
    (363, "Microsoft365CopilotScheduledPrompt"),
    (364, "PlacesDirectory"),
    (365, "SentinelNotebookOnLake"),
    (366, "SentinelJob"),
    (367, "SentinelKQLOnLake"),
    (368, "SentinelLakeOnboarding"),
    (369, "SentinelLakeDataOnboarding"),
    (370, "SentinelAITool"),
    (371, "SentinelGraph"),
    (372, "CrossTenantAccessPolicy"),
    (373, "OutlookCopilotAutomation"),
    (374, "VivaEngageNetworkAssociation"),
    (375, "AppAdminActivity"),
    (376, "AppSettingsAdminActivity"),
    (377, "UniversalPrintPrintJob"),
    (378, "VivaAmplifyOutlookSensitivityLabel"),
    (379, "AIInteractionsSubscription"),
    (380, "AIInteractionsChangeNotification"),
    (381, "FilteringMailMetadataExtended"),
    (382, "OfficeRestrictedModeAction"),
    (383, "CopilotForSecurityTrigger"),
    (384, "CopilotAgentManagement"),
    (385, "P4AIAssessmentFabricScannerRecord"),
    (386, "PlannerGoal"),
    (387, "PlannerGoalList"),
    (401, "PlannerChatMessage"),
    (402, "PlannerChatMessageList"),
    (414, "VivaEngageSegment"),
    (422, "VivaEngageEvents"),
    (427, "UniversalPrintManagement"),
    (430, "PurviewPostureAgent"),
    (431, "GranularBrowseTask"),
    (444, "TeamsEvalDataHubDataAccess"),
    (445, "TeamsEvalDataHubPermissionChange"),
    (454, "DragonCopilotAdmin"),
    (462, "MicrosoftTeamsUserConcern"),
    (463, "VivaGlintAgenticCampaign"),
];

/// Names from PowerShell and Graph, for numbers that the schema leaves out.
const UNDOCUMENTED_RECORD_TYPES: &[(u16, &str)] = &[
    (5, "SyntheticProbe"),
    (12, "Sway"),
    (26, "MicrosoftTeamsAddOns"),
    (27, "MicrosoftTeamsSettingsOperation"),
    (74, "SecureScore"),
    (77, "Search"),
    (80, "PowerPlatformAdminEnvironment"),
    (81, "MDATPAudit"),
    (104, "LabelAnalyticsAggregate"),
    (108, "ComplianceDLPEndpoint"),
    (110, "MSDEResponseActions"),
    (111, "MSDEGeneralSettings"),
    (112, "MSDEIndicatorsSettings"),
    (114, "MSDERolesSettings"),
    (115, "MAPGAlerts"),
    (116, "MAPGPolicy"),
    (117, "MAPGRemediation"),
    (118, "PrivacyRemediationAction"),
    (119, "PrivacyDigestEmail"),
    (120, "MipAutoLabelSimulationProgress"),
    (121, "MipAutoLabelSimulationCompletion"),
    (122, "MipAutoLabelProgressFeedback"),
    (123, "DlpSensitiveInformationType"),
    (124, "MipAutoLabelSimulationStatistics"),
    (125, "LargeContentMetadata"),
    (126, "Microsoft365Group"),
    (127, "CDPMlInferencingResult"),
    (128, "FilteringMailMetadata"),
    (129, "CDPClassificationMailItem"),
    (130, "CDPClassificationDocument"),
    (131, "OfficeScriptsRunAction"),
    (132, "FilteringPostMailDeliveryAction"),
    (133, "CDPUnifiedFeedback"),
    (134, "TenantAllowBlockList"),
    (135, "ConsumptionResource"),
    (136, "HealthcareSignal"),
    (138, "DlpImportResult"),
    (139, "CDPCompliancePolicyExecution"),
    (140, "MultiStageDisposition"),
    (141, "PrivacyDataMatch"),
    (142, "FilteringDocMetadata"),
    (143, "FilteringEmailFeatures"),
    (144, "PowerBIDlp"),
    (145, "FilteringUrlInfo"),
    (146, "FilteringAttachmentInfo"),
    (149, "PowerPlatformLockboxResourceAccessRequest"),
    (150, "PowerPlatformLockboxResourceCommand"),
    (151, "CDPPredictiveCodingLabel"),
    (152, "CDPCompliancePolicyUserFeedback"),
    (153, "WebpageActivityEndpoint"),
    (155, "CMImprovementActionChange"),
    (156, "FilteringUrlClick"),
    (158, "FilteringEntityEvent"),
    (159, "FilteringRuleHits"),
    (160, "FilteringMailSubmission"),
    (161, "LabelExplorer"),
    (163, "PowerPlatformServiceActivity"),
    (165, "TimeTravelFilteringDocMetadata"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_up_and_names_are_unique() {
        for table in [RECORD_TYPES, UNDOCUMENTED_RECORD_TYPES, USER_TYPES] {
            assert!(table.windows(2).all(|rows| rows[0].0 < rows[1].0));
        }
        let mut names: Vec<_> = record_type_names().map(str::to_ascii_lowercase).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(RECORD_TYPES.len(), 257);
    }

    #[test]
    fn names_and_numbers_find_each_other() {
        assert_eq!(record_type_name(15), Some("AzureActiveDirectoryStsLogon"));
        assert_eq!(record_type_name(117), Some("MAPGRemediation"));
        assert_eq!(record_type_name(463), Some("VivaGlintAgenticCampaign"));
        for unknown in [-1, 0, 999, 70_000, i64::MIN] {
            assert_eq!(record_type_name(unknown), None);
        }
        assert_eq!(record_type_called("viva engage"), Some(22));
        assert_eq!(record_type_called("YAMMER"), Some(22));
        assert_eq!(record_type_called("SharePointFileOperation"), Some(6));
        assert_eq!(record_type_called("6"), None);
        assert_eq!(user_type_name(6), Some("ServicePrincipal"));
        assert_eq!(user_type_name(11), None);
    }
}
