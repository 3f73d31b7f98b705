// The alerts of deploy/monitoring/rules/alerts.yml, as rules of the Azure Monitor workspace: the file
// that promtool tests is the only place where they are written.

param location string
param tags object
param metricsId string
param clusterName string

@description('Who is written to when an alert fires; empty: alerts are shown in the portal alone.')
param email string

var groups = loadYamlContent('../../monitoring/rules/alerts.yml').groups

var severities = {
  page: 1
  ticket: 3
}

var mailed = [
  {
    actionGroupId: people.id
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'stylestream-people'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'stylestream'
    emailReceivers: [
      {
        name: 'operator'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource rules 'Microsoft.AlertsManagement/prometheusRuleGroups@2023-03-01' = [
  for group in groups: {
    name: group.name
    location: location
    tags: tags
    properties: {
      enabled: true
      clusterName: clusterName
      interval: 'PT1M'
      scopes: [
        metricsId
      ]
      rules: [
        for rule in group.rules: {
          alert: rule.alert
          expression: rule.expr
          // 15m in Prometheus' file is PT15M here.
          for: contains(rule, 'for') ? toUpper('PT${rule.for}') : null
          severity: severities[rule.labels.severity]
          labels: rule.labels
          annotations: rule.annotations
          actions: empty(email) ? [] : mailed
          resolveConfiguration: {
            autoResolved: true
            timeToResolve: 'PT10M'
          }
        }
      ]
    }
  }
]
