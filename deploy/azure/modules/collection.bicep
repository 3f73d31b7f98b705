// Collects the cluster's metrics into the Azure Monitor workspace, and the services' log lines into Log
// Analytics. The rules have no effect until they are associated with a cluster.

param clusterName string
param location string
param tags object
param metricsId string
param logsId string

@description('Kubernetes namespaces whose containers\' output is kept, and paid for.')
param namespaces array

resource cluster 'Microsoft.ContainerService/managedClusters@2025-07-01' existing = {
  name: clusterName
}

resource endpoint 'Microsoft.Insights/dataCollectionEndpoints@2023-03-11' = {
  name: 'metrics-${clusterName}'
  location: location
  tags: tags
  kind: 'Linux'
  properties: {}
}

resource metrics 'Microsoft.Insights/dataCollectionRules@2023-03-11' = {
  name: 'metrics-${clusterName}'
  location: location
  tags: tags
  kind: 'Linux'
  properties: {
    dataCollectionEndpointId: endpoint.id
    dataSources: {
      prometheusForwarder: [
        {
          name: 'PrometheusDataSource'
          streams: [
            'Microsoft-PrometheusMetrics'
          ]
          labelIncludeFilter: {}
        }
      ]
    }
    destinations: {
      monitoringAccounts: [
        {
          name: 'workspace'
          accountResourceId: metricsId
        }
      ]
    }
    dataFlows: [
      {
        streams: [
          'Microsoft-PrometheusMetrics'
        ]
        destinations: [
          'workspace'
        ]
      }
    ]
  }
}

resource logs 'Microsoft.Insights/dataCollectionRules@2023-03-11' = {
  name: 'logs-${clusterName}'
  location: location
  tags: tags
  kind: 'Linux'
  properties: {
    dataSources: {
      extensions: [
        {
          name: 'ContainerInsightsExtension'
          extensionName: 'ContainerInsights'
          streams: [
            'Microsoft-ContainerLogV2'
            'Microsoft-KubeEvents'
            'Microsoft-KubePodInventory'
          ]
          extensionSettings: {
            dataCollectionSettings: {
              interval: '1m'
              namespaceFilteringMode: 'Include'
              namespaces: namespaces
              enableContainerLogV2: true
            }
          }
        }
      ]
    }
    destinations: {
      logAnalytics: [
        {
          name: 'workspace'
          workspaceResourceId: logsId
        }
      ]
    }
    dataFlows: [
      {
        streams: [
          'Microsoft-ContainerLogV2'
          'Microsoft-KubeEvents'
          'Microsoft-KubePodInventory'
        ]
        destinations: [
          'workspace'
        ]
      }
    ]
  }
}

resource metricsOfCluster 'Microsoft.Insights/dataCollectionRuleAssociations@2023-03-11' = {
  scope: cluster
  name: 'metrics'
  properties: {
    dataCollectionRuleId: metrics.id
  }
}

resource logsOfCluster 'Microsoft.Insights/dataCollectionRuleAssociations@2023-03-11' = {
  scope: cluster
  // The add-on requires this name.
  name: 'ContainerInsightsExtension'
  properties: {
    dataCollectionRuleId: logs.id
  }
}
